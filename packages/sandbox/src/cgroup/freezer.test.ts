import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findFreezers } from './freezer.ts';

const folder = mkdtempSync(join(tmpdir(), 'cloister-freezer-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const line = (type: string, point: string, options: string) =>
  `36 30 0:33 / ${point} rw,relatime - ${type} ${type} ${options}`;

test.each([
  [
    'version 1',
    [line('cgroup', '/x', 'rw,memory'), line('cgroup', folder, 'rw,freezer')],
    'freezer.state',
    'FROZEN',
    'THAWED',
  ],
  ['version 2', [line('tmpfs', '/x', 'rw'), line('cgroup2', folder, 'rw')], 'cgroup.freeze', '1', '0'],
])('holds a group of %s, and lets it go on', (version, lines, file, frozen, thawed) => {
  const group = join(folder, version);
  mkdirSync(group);
  const freezer = findFreezers(lines.join('\n'))?.(`/${version}`);
  // A file that is not there is never made: its group is gone.
  expect(freezer?.freeze()).toBe(false);
  writeFileSync(join(group, file), '');
  expect(freezer?.freeze()).toBe(true);
  expect(readFileSync(join(group, file), 'utf8')).toBe(frozen);
  writeFileSync(join(group, file), '');
  freezer?.thaw();
  expect(readFileSync(join(group, file), 'utf8')).toBe(thawed);
});

test('is none where no tree has it: not that of version 2 beside others', () => {
  expect(findFreezers(line('ext4', '/', 'rw'))).toBeUndefined();
  expect(findFreezers([line('cgroup', '/x', 'rw,memory'), line('cgroup2', folder, 'rw')].join('\n'))).toBeUndefined();
});
