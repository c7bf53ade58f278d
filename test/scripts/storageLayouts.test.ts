import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  committedLayoutChanges,
  type Layout,
  layoutChanges,
  layoutMessage,
} from '../../contracts/scripts/storageLayouts.ts';

const item = (label: string, slot: number, offset = 0, bytes = 32, type = 'uint256') => ({
  label,
  slot,
  offset,
  bytes,
  type,
});
const registry: Layout = {
  contract: 'Registry',
  storage: [item('owner', 0, 0, 20, 'address'), item('count', 0, 20, 8, 'uint64'), item('names', 1)],
  structs: { 'struct Registry.Worker': [item('signer', 0, 0, 20, 'address'), item('leaseUntil', 0, 20, 8, 'uint64')] },
};
const [owner, count, names] = registry.storage as [Layout['storage'][0], Layout['storage'][0], Layout['storage'][0]];
const textOf = (layout: Layout) => JSON.stringify(layout, null, 2);
const changesOf = (storage: Layout['storage'], structs = registry.structs) =>
  layoutChanges(registry, { ...registry, storage, structs });

describe('changes of a storage layout', () => {
  test('none in the same, in whatever order', () => {
    expect(changesOf(registry.storage)).toEqual([]);
    expect(changesOf([names, count, owner])).toEqual([]);
  });

  test('name what moved, what is gone and what is new, in structs too', () => {
    expect(changesOf([owner, { ...count, slot: 2, offset: 0 }, item('added', 3)])).toEqual([
      'Registry: "count" moved from slot 0, byte 20, 8 bytes of uint64 to slot 2, byte 0, 8 bytes of uint64',
      'Registry: "names" is gone from slot 1, byte 0, 32 bytes of uint256',
      'Registry: "added" is new in slot 3, byte 0, 32 bytes of uint256',
    ]);
    expect(changesOf([owner, count, { ...names, type: 'bytes32' }])).toHaveLength(1);
    expect(changesOf([owner, { ...count, bytes: 5 }, names])).toHaveLength(1);
    expect(changesOf([owner, { ...count, offset: 21 }, names])).toHaveLength(1);
    expect(changesOf(registry.storage, {})).toHaveLength(2);
    const [signer] = registry.structs['struct Registry.Worker'] ?? [];
    expect(changesOf(registry.storage, { 'struct Registry.Worker': signer === undefined ? [] : [signer] })).toEqual([
      'Registry: "struct Registry.Worker.leaseUntil" is gone from slot 0, byte 20, 8 bytes of uint64',
    ]);
  });
});

describe('layouts that are committed', () => {
  const path = 'storage/registry.json';
  const after = textOf({ ...registry, storage: [owner, count] });

  test('may come, and may not change or go unseen', () => {
    expect(committedLayoutChanges([{ path, before: undefined, after }])).toEqual([]);
    expect(committedLayoutChanges([{ path, before: after, after }])).toEqual([]);
    expect(committedLayoutChanges([{ path, before: textOf(registry), after }])).toHaveLength(1);
    expect(committedLayoutChanges([{ path: 'storage\\registry.json', before: textOf(registry), after }])).toHaveLength(
      1,
    );
    expect(committedLayoutChanges([{ path, before: after, after: undefined }])).toEqual([
      'storage/registry.json: the contract is no longer generated',
    ]);
    expect(committedLayoutChanges([{ path, before: `${after}\n`, after }])).toEqual([
      'storage/registry.json: written in another form',
    ]);
    // Whatever else is generated changes with every edit.
    expect(committedLayoutChanges([{ path: 'registry.ts', before: 'a', after: 'b' }])).toEqual([]);
  });

  test('are told with what follows and what to do', () => {
    const message = layoutMessage(['Registry: "names" is gone']);
    expect(message).toContain('  Registry: "names" is gone\n');
    for (const words of ['docs/upgrades.md', 'packages/chain-proof', '--accept-layouts'])
      expect(message).toContain(words);
  });

  test('have the form that this reads: a slot moved in a real one is seen', () => {
    const file = new URL('../../packages/chain/src/generated/storage/workerRegistry.json', import.meta.url);
    const text = readFileSync(file, 'utf8');
    const layout = JSON.parse(text) as Layout;
    expect(layout.storage.length).toBeGreaterThan(3);
    const moved = { ...layout, storage: layout.storage.map((entry) => ({ ...entry, slot: entry.slot + 1 })) };
    const changes = committedLayoutChanges([
      { path: 'storage/workerRegistry.json', before: text, after: textOf(moved) },
    ]);
    expect(changes).toHaveLength(layout.storage.length);
  });
});
