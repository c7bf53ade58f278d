import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { b32, network } from '../../../packages/core/test/helpers.ts';
import { bridgeCommands } from '../src/commands/bridge.ts';
import { runCommand } from './runCommand.ts';

let folder = '';
let options: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-bridge-'));
  await writeFile(join(folder, 'network.json'), JSON.stringify(network));
  await writeFile(join(folder, 'key'), b32(0x11));
  options = ['--network', join(folder, 'network.json'), '--key', join(folder, 'key')];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (...argv: string[]) => runCommand(bridgeCommands, [...options, 'bridge', ...argv]);

describe('cloister bridge', () => {
  test.each([
    ['send', '1,5'],
    ['send', '5', '--to', 'somebody'],
    ['back', '5', '--chain', 'x'],
    ['status', '0x12'],
    ['list', 'me'],
  ])('%s refuses "%s %s"', async (...argv) => {
    expect((await run(...argv.filter((one) => one !== undefined))).error).toMatchObject({
      code: 'OPTION_VALUE_INVALID',
    });
  });

  test.each([
    ['send', '5'],
    ['back', '5'],
    ['carry', '--once'],
  ])('%s says where a network has none', async (...argv) => {
    expect((await run(...argv)).error).toMatchObject({ code: 'BRIDGE_ABSENT' });
  });

  test('status and list know of nothing there', async () => {
    expect((await run('status', b32(1))).error).toMatchObject({ code: 'BRIDGE_TRANSFER_UNKNOWN' });
    expect((await run('--json', 'list')).out).toBe('[]\n');
  });
});
