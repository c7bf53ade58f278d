import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import { ComposeError } from './composeError.ts';

/** A value of the file, and how to say where it stands. */
export type Place = { readonly node: unknown; readonly line: number };

/** A key with its value. */
export type Entry = { readonly key: string; readonly line: number; readonly value: Place };

export type YamlReader = {
  readonly root: Place;
  /** The entries of a mapping. `what` names it in the error for anything else. */
  readonly entries: (place: Place, what: string) => readonly Entry[];
  readonly items: (place: Place, what: string) => readonly Place[];
};

/**
 * Reads YAML 1.2 without what lets a small text stand for something else than it shows: anchors, aliases, merge keys, tags,
 * several documents. Throws ComposeError.
 */
export function readYaml(text: string): YamlReader {
  const lines = new LineCounter();
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line);
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, merge: false, prettyErrors: false });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw new ComposeError('COMPOSE_MALFORMED', lineAt(problem.pos[0]), problem.message);
  const lineOf = (node: unknown, otherwise: number): number => {
    const start = (node as Partial<Node> | null)?.range?.[0];
    return start === undefined ? otherwise : lineAt(start);
  };
  visit(document, (_, node) => {
    const named = isAlias(node) || ((isScalar(node) || isMap(node) || isSeq(node)) && (node.anchor || node.tag));
    if (named) throw new ComposeError('COMPOSE_REFUSED', lineOf(node, 1), 'anchors, aliases and tags are not read');
  });
  return {
    root: { node: document.contents, line: lineOf(document.contents, 1) },
    entries({ node, line }, what) {
      if (!isMap(node)) throw new ComposeError('COMPOSE_MALFORMED', line, `${what} is no mapping`);
      return node.items.map(({ key, value }) => {
        const keyLine = lineOf(key, line);
        const name = isScalar(key) ? key.value : undefined;
        if (typeof name !== 'string') throw new ComposeError('COMPOSE_MALFORMED', keyLine, 'a key is no text');
        return { key: name, line: keyLine, value: { node: value, line: lineOf(value, keyLine) } };
      });
    },
    items({ node, line }, what) {
      if (!isSeq(node)) throw new ComposeError('COMPOSE_MALFORMED', line, `${what} is no list`);
      return node.items.map((item) => ({ node: item, line: lineOf(item, line) }));
    },
  };
}

/** A text, or a number or boolean as it was written. */
export function textAt({ node, line }: Place, what: string): string {
  if (isScalar(node)) {
    if (typeof node.value === 'string') return node.value;
    if (typeof node.value === 'number' || typeof node.value === 'boolean') return node.source ?? String(node.value);
  }
  throw new ComposeError('COMPOSE_MALFORMED', line, `${what} is no text`);
}

/** Whether there is only one value, and no list or mapping. */
export function isPlain({ node }: Place): boolean {
  return isScalar(node);
}

export function isMapping({ node }: Place): boolean {
  return isMap(node);
}

/** Whether it is empty: a key without a value. */
export function isNothing({ node }: Place): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null);
}
