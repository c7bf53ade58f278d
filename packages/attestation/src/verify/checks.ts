/** One thing that was checked, and what it is made of: JSON as it stands. */
export type CheckNode = {
  /** Unique among its siblings; stable, to be scripted. */
  readonly id: string;
  /** One sentence for people that says what holds where `ok`. */
  readonly title: string;
  readonly ok: boolean;
  /** What was found; where not ok, why not. */
  readonly detail: string | null;
  readonly children: readonly CheckNode[];
};

/**
 * Where a tree of checks grows, for whoever asks for one. The code that checks writes it by {@link check}: a node is there
 * because its body ran, and ok because it did not throw. What comes after a refusal is not in the tree.
 */
export class CheckList {
  readonly #nodes: Growing[] = [];
  #detail: string | null = null;

  /** The nodes so far. A node whose body still runs is not ok. */
  get nodes(): readonly CheckNode[] {
    return this.#nodes.map(({ id, title, ok, why, inner }) => ({
      id,
      title,
      ok,
      detail: why ?? inner.#detail,
      children: inner.nodes,
    }));
  }

  /** What was found, as the detail of the node that this list belongs to. */
  note(detail: string): void {
    this.#detail = detail;
  }

  /** Adds a check that has been made. @param refusal why it does not hold; undefined where it does */
  record(id: string, title: string, refusal: string | undefined): void {
    this.#nodes.push({ id, title, ok: refusal === undefined, why: refusal ?? null, inner: new CheckList() });
  }

  /** Begins a node whose body is still to run: for {@link check} only. */
  begin(id: string, title: string): Growing {
    const node: Growing = { id, title, ok: false, why: null, inner: new CheckList() };
    this.#nodes.push(node);
    return node;
  }
}

type Growing = {
  readonly id: string;
  readonly title: string;
  readonly inner: CheckList;
  ok: boolean;
  why: string | null;
};

/**
 * Runs a check, and records it where somebody asked for the tree; otherwise it is the call of `body` and nothing else.
 * @param body throws where the check does not hold; gets the list for what it is made of
 */
export function check<Result>(
  parent: CheckList | undefined,
  id: string,
  title: string,
  body: (inner: CheckList | undefined) => Result,
): Result {
  if (parent === undefined) return body(undefined);
  const node = parent.begin(id, title);
  try {
    const result = body(node.inner);
    if (!(result instanceof Promise)) {
      node.ok = true;
      return result;
    }
    return result.then(
      (value: unknown) => {
        node.ok = true;
        return value;
      },
      (error: unknown) => fail(node, error),
    ) as Result;
  } catch (error) {
    return fail(node, error);
  }
}

function fail(node: Growing, error: unknown): never {
  node.why = error instanceof Error ? error.message : String(error);
  throw error;
}
