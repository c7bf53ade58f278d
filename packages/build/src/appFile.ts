import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type AppFile,
  appFileFromJson,
  appFileName,
  CloisterError,
  describeError,
  maxAppFileBytes,
  SchemaError,
} from '@cloister/core';
import { findNodeAtLocation, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';

/** Names and indices that lead to a value of the file. */
export type Place = readonly (string | number)[];

/** A project's `cloister.json`, read and checked by itself. */
export type ReadAppFile = {
  /** As it was named. */
  readonly file: string;
  /** Absolute: its paths are relative to it. */
  readonly folder: string;
  readonly fields: AppFile;
  /** An error about a value of the file, at its line and column. */
  readonly errorAt: (place: Place, problem: string, cause?: unknown) => AppFileError;
};

/** As the JSON that programs read: no comments, no comma at an end. */
const strict = { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false };

/**
 * Reads `cloister.json`, or the one in a folder. Throws APP_FILE_MISSING, APP_FILE_UNREADABLE, and APP_FILE_INVALID with file, line and
 * column (from 1) of the first thing that is wrong.
 */
export async function readAppFile(fileOrFolder: string): Promise<ReadAppFile> {
  const isFolder = (await stat(fileOrFolder).catch(() => undefined))?.isDirectory() ?? false;
  const file = isFolder ? path.join(fileOrFolder, appFileName) : fileOrFolder;
  const text = await textOf(file);
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, strict);
  const at = (offset: number, place: Place, problem: string, cause?: unknown) =>
    new AppFileError({ code: 'APP_FILE_INVALID', file, position: positionIn(text, offset), place, problem, cause });
  const [wrong] = errors;
  if (wrong !== undefined) throw at(wrong.offset, [], `no JSON: ${printParseErrorCode(wrong.error)}`);
  const errorAt = (place: Place, problem: string, cause?: unknown) => at(offsetOf(tree, place), place, problem, cause);
  const repeated = tree && repeatedName(tree);
  if (repeated !== undefined)
    throw at(repeated.offset, [], `${JSON.stringify(repeated.value)} stands twice in one object`);
  try {
    const fields = appFileFromJson(JSON.parse(text));
    return { file, folder: path.dirname(path.resolve(file)), fields, errorAt };
  } catch (error) {
    if (error instanceof SchemaError) throw errorAt(error.place, error.problem, error);
    throw error;
  }
}

/**
 * Runs a check of the manifest that a file makes. What it throws is told at the field that it names first, else at the top of the file.
 * @param work throws CloisterError, or answers what can't be honoured
 */
export function checkedByFile(read: ReadAppFile, work: () => string | undefined): void {
  let cause: unknown;
  let problem: string | undefined;
  try {
    problem = work();
  } catch (error) {
    if (!(error instanceof CloisterError)) throw error;
    cause = error;
    problem = error.message;
  }
  if (problem !== undefined) throw read.errorAt(firstNamedIn(problem, read.fields), problem, cause);
}

/** The place of the first field of the file that a text names, as `limits.fuel` or `fuel`. */
function firstNamedIn(text: string, fields: AppFile): Place {
  const places = new Map<string, Place>();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      for (const inner of Object.keys(value)) {
        places.set(`${name}.${inner}`, [name, inner]);
        places.set(inner, [name, inner]);
      }
  }
  for (const name of Object.keys(fields)) places.set(name, [name]);
  const named = (text.match(/[A-Za-z]+(?:\.[A-Za-z]+)?/g) ?? []).find((word) => places.has(word));
  return (named === undefined ? undefined : places.get(named)) ?? [];
}

async function textOf(file: string): Promise<string> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile())
    throw new AppFileError({ code: 'APP_FILE_MISSING', file, problem: `There is no file "${file}"` });
  const unreadable = (problem: string, cause?: unknown) =>
    new AppFileError({ code: 'APP_FILE_UNREADABLE', file, problem: `Can't read "${file}": ${problem}`, cause });
  if (found.size > maxAppFileBytes) throw unreadable(`it has ${found.size} bytes, at most ${maxAppFileBytes} are read`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(await readFile(file));
  } catch (cause) {
    throw unreadable(cause instanceof TypeError ? 'it is no UTF-8' : describeError(cause), cause);
  }
}

/** Where the value at a place begins, or the name of a field that is none; the nearest around it where there is no such value. */
function offsetOf(tree: Node | undefined, place: Place): number {
  if (tree === undefined) return 0;
  for (let length = place.length; length > 0; length--) {
    const node = findNodeAtLocation(tree, place.slice(0, length) as (string | number)[]);
    if (node !== undefined) return node.parent?.type === 'property' ? node.parent.offset : node.offset;
  }
  return tree.offset;
}

function positionIn(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** The second name of two that are the same in one object: of these JSON.parse would silently keep the last. */
function repeatedName(node: Node): Node | undefined {
  const names = new Set<unknown>();
  for (const child of node.children ?? []) {
    const [name] = node.type === 'object' ? (child.children ?? []) : [];
    if (name !== undefined && names.has(name.value)) return name;
    names.add(name?.value);
    const inner = repeatedName(child);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

export type AppFileErrorInit = {
  readonly code: 'APP_FILE_MISSING' | 'APP_FILE_UNREADABLE' | 'APP_FILE_INVALID';
  readonly file: string;
  readonly problem: string;
  readonly position?: { readonly line: number; readonly column: number };
  readonly place?: Place;
  readonly cause?: unknown;
};

/** What is wrong with a project's file; `meta` has its line and column, both from 1, and the path of the field. */
export class AppFileError extends CloisterError<AppFileErrorInit['code']> {
  override readonly name = 'AppFileError';
  constructor({ code, file, problem, position, place = [], cause }: AppFileErrorInit) {
    const field = place.join('.');
    const at = position && `${file}:${position.line}:${position.column}: `;
    super({
      code,
      message: `${at ?? ''}${field === '' ? '' : `"${field}": `}${problem}`,
      meta: { file, ...position, ...(field !== '' && { field }) },
      hint:
        code === 'APP_FILE_MISSING'
          ? '"cloister init" makes a project with one; or name the file to deploy'
          : 'Correct it; docs/developing.md lists the fields',
      cause,
    });
  }
}
