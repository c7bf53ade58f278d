import { ChainView, paymentsAbi, RegistryReader, ShownReceipts } from '@cloister/chain';
import { anchoredLeaf, type Bytes32, type NetworkFile, receiptDigest } from '@cloister/core';
import { addressOf, generateSecp256k1, type SecretBytes } from '@cloister/crypto';
import { type Equivocation, type FoundEquivocation, ReceiptWatch } from '@cloister/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { rpc } from '../../../packages/chain-proof/test/anvil.ts';
import { chainId, startTown, type Town } from '../../../packages/chain-proof/test/town.ts';
import { equivocationBy, knowSigner } from '../../../packages/sdk/test/townEquivocation.ts';
import { PublicReceipts } from '../src/slashing/publicReceipts.ts';

const signal = new AbortController().signal;
let town: Town;
let enclave: SecretBytes;
let found: FoundEquivocation[];
let receipts: ReceiptWatch;
let member: PublicReceipts;

beforeAll(async () => {
  town = await startTown();
}, 60_000);
afterAll(() => town.anvil.stop());
beforeEach(() => {
  enclave = generateSecp256k1();
  found = [];
  receipts = new ReceiptWatch({ onEquivocation: (one) => void found.push(one) });
  member = newMember();
});

const domain = () => ({ chainId, registry: town.deployed.workerRegistry });
const newMember = () => {
  const contracts = town.deployed as unknown as NetworkFile['contracts'];
  const view = new ChainView({ chainId, rpcs: [town.anvil.url] });
  const components = {
    view,
    shown: new ShownReceipts(view, contracts),
    registry: new RegistryReader(view, contracts),
    receipts,
  };
  return new PublicReceipts(components, { domain: domain() });
};
const tick = async () => {
  // What has happened is final.
  await rpc(town.anvil.url, 'anvil_mine', ['0x60']);
  await member.tick(signal);
};
/** Opens a receipt that stands alone in its anchored root. */
async function open({ receipt, signature }: Equivocation['receipts'][0], registry = domain().registry): Promise<void> {
  const root = anchoredLeaf(receiptDigest({ chainId, registry }, receipt));
  const payments = { address: town.deployed.payments, abi: paymentsAbi };
  await town.account.write({ ...payments, functionName: 'anchor', args: [root] });
  const args = [registry, receipt, signature, { root, siblings: [] as Bytes32[] }] as const;
  await town.account.write({ ...payments, functionName: 'openReceipt', args });
}

describe('receipts on the chain', () => {
  test('are compared with each other, in whichever blocks they were opened', async () => {
    await knowSigner(town, enclave);
    const [first, second] = equivocationBy(enclave, domain().registry).receipts;
    await open(first);
    await tick();
    await open(first);
    await tick();
    expect(found).toEqual([]);
    await open(second);
    await tick();
    expect(found.map(({ equivocation }) => equivocation)).toEqual([
      { domain: domain(), signer: addressOf(enclave), receipts: [first, second] },
    ]);
  });

  test('are compared with those of challenges, by a member that starts later too', async () => {
    await knowSigner(town, enclave);
    const [first, second] = equivocationBy(enclave, domain().registry).receipts;
    await open(first);
    await receipts.see(domain(), addressOf(enclave), second);
    member = newMember();
    await tick();
    // Also of what the tests before left there.
    expect(found.filter(({ equivocation }) => equivocation.signer === addressOf(enclave))).toHaveLength(1);
  });

  test('of nobody’s key, or of another registry, count for nothing', async () => {
    const see = vi.spyOn(receipts, 'see');
    await open(equivocationBy(enclave, domain().registry).receipts[0]);
    await knowSigner(town, enclave);
    const elsewhere = `0x${'31'.repeat(20)}` as const;
    await open(equivocationBy(enclave, elsewhere).receipts[0], elsewhere);
    // The first was opened while its signer was unknown, and is read when it is known.
    await tick();
    expect(see.mock.calls.filter(([, signer]) => signer === addressOf(enclave))).toHaveLength(1);
    const stranger = generateSecp256k1();
    await open(equivocationBy(stranger, domain().registry).receipts[0]);
    await tick();
    expect(see.mock.calls.filter(([, signer]) => signer === addressOf(stranger))).toEqual([]);
  });

  test('are read again where that failed, and not where it did not', async () => {
    await knowSigner(town, enclave);
    const between = vi.spyOn(ShownReceipts.prototype, 'between').mockRejectedValueOnce(new Error('RPC away'));
    await open(equivocationBy(enclave, domain().registry).receipts[0]);
    await expect(tick()).rejects.toThrow('RPC away');
    await member.tick(signal);
    await member.tick(signal);
    const asked = between.mock.calls.map(([from, to]) => [from, to]);
    // Pages that join, the first of them twice.
    expect(asked.slice(0, 3)).toEqual([
      [0n, 63n],
      [0n, 63n],
      [64n, expect.any(BigInt)],
    ]);
    for (const [index, [from]] of asked.slice(2).entries()) expect(from).toBe((asked[index + 1]?.[1] ?? 0n) + 1n);
    between.mockRestore();
  });
});
