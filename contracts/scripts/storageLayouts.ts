// What a changed storage layout means, told before it is written.

type Item = {
  readonly label: string;
  readonly slot: number;
  readonly offset: number;
  readonly bytes: number;
  readonly type: string;
};
/** A file of packages/chain/src/generated/storage. */
export type Layout = {
  readonly contract: string;
  readonly storage: readonly Item[];
  readonly structs: Readonly<Record<string, readonly Item[]>>;
};

/** Each difference of two layouts of a contract, for people; none where they are the same but for their order in the file. */
export function layoutChanges(before: Layout, after: Layout): string[] {
  const structs = new Set([...Object.keys(before.structs), ...Object.keys(after.structs)]);
  return [
    ...itemChanges('', before.storage, after.storage),
    ...[...structs].flatMap((name) => itemChanges(`${name}.`, before.structs[name] ?? [], after.structs[name] ?? [])),
  ].map((change) => `${before.contract}: ${change}`);
}

function itemChanges(prefix: string, before: readonly Item[], after: readonly Item[]): string[] {
  const place = ({ slot, offset, bytes, type }: Item) => `slot ${slot}, byte ${offset}, ${bytes} bytes of ${type}`;
  const later = new Map(after.map((item) => [item.label, item]));
  const earlier = new Set(before.map(({ label }) => label));
  const gone = before.flatMap((item) => {
    const now = later.get(item.label);
    if (now === undefined) return [`"${prefix}${item.label}" is gone from ${place(item)}`];
    return place(now) === place(item) ? [] : [`"${prefix}${item.label}" moved from ${place(item)} to ${place(now)}`];
  });
  const added = after
    .filter(({ label }) => !earlier.has(label))
    .map((item) => `"${prefix}${item.label}" is new in ${place(item)}`);
  return [...gone, ...added];
}

/**
 * Every change of a layout that is committed, by the texts of the files before and after: what a new contract brings is none. Undefined
 * texts are files that are not there.
 */
export function committedLayoutChanges(
  files: readonly { readonly path: string; readonly before: string | undefined; readonly after: string | undefined }[],
): string[] {
  return files.flatMap(({ path, before, after }) => {
    if (!/^storage[\\/]/.test(path) || before === undefined || before === after) return [];
    if (after === undefined) return [`${path}: the contract is no longer generated`];
    const changes = layoutChanges(JSON.parse(before) as Layout, JSON.parse(after) as Layout);
    return changes.length > 0 ? changes : [`${path}: written in another form`];
  });
}

/** What whoever changed them has to know, and does next. */
export function layoutMessage(changes: readonly string[]): string {
  return [
    'Storage layouts changed:',
    ...changes.map((change) => `  ${change}`),
    'What follows:',
    '  - A contract that stands on a chain keeps its own layout for ever: nothing here is upgraded in place. The changed one is',
    '    another contract, which begins without state; docs/upgrades.md says how one takes the place of the other.',
    '  - Whoever reads a deployed contract by its slots needs the layout of that release. packages/chain-proof runs the contract’s own',
    '    code over proven slots and needs none; packages/sdk/test/townEquivocation.ts, auditors and explorers go by these files.',
    'If that is meant: "npm run contracts -- generate --accept-layouts", and say in the commit why it changed.',
  ].join('\n');
}
