import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChainAccount } from '@cloister/chain';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { run, startNetwork } from './cliNetwork.ts';

const receiver = `0x${'Ab'.repeat(20)}`;
let folder: string;
let stop: () => Promise<void>;
const cloister = (...argv: string[]) =>
  run('--network', join(folder, 'network.json'), '--key', join(folder, 'key'), ...argv);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-send-'));
  const started = await startNetwork();
  stop = () => started.stop();
  await writeFile(join(folder, 'network.json'), JSON.stringify(started.network.file));
  await writeFile(join(folder, 'key'), `0x${'07'.repeat(32)}`);
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

describe('send', () => {
  const sent = vi.spyOn(ChainAccount.prototype, 'send');
  beforeEach(() => {
    sent.mockReset().mockResolvedValue({ transactionHash: '0xaa', blockNumber: 7n } as never);
  });

  test('sends exactly what is written, and says where it went', async () => {
    const { out } = await cloister('send', receiver, '0.1');
    expect(sent.mock.calls).toEqual([
      [receiver.toLowerCase(), '0x', expect.any(String), undefined, 100_000_000_000_000_000n],
    ]);
    expect(out.trim()).toBe(`Sent 0.1 ether to ${receiver.toLowerCase()}, block 7`);
  });

  test('tells programs the amount in wei', async () => {
    const { out } = await cloister('--json', 'send', receiver, '1');
    expect(JSON.parse(out)).toMatchObject({ to: receiver.toLowerCase(), wei: '1000000000000000000', block: '7' });
  });

  test.each([
    ['0x12', '1', 'Expected address to be an address (0x and 40 hexadecimal digits), got "0x12"'],
    [receiver, '1e3', 'Expected amount to be an amount of ether such as 12 or 0.5, got "1e3"'],
    [receiver, '', 'Expected amount to be an amount of ether such as 12 or 0.5, got none'],
    [receiver, '0.0000000000000000001', 'Expected amount to be an amount of ether'],
  ])('sends nothing to "%s" with "%s"', async (address, amount, message) => {
    const { error } = await cloister('send', address, amount);
    expect(error).toMatchObject({
      code: 'OPTION_VALUE_INVALID',
      message: expect.stringContaining(message),
    });
    expect(sent).not.toHaveBeenCalled();
  });
});
