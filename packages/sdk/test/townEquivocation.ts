import { readFileSync } from 'node:fs';
import { governAtOnce, slashingAbi } from '@cloister/chain';
import { type Address, type Hex, type Receipt, receiptDigest } from '@cloister/core';
import { addressOf, concatBytes, fromHex, keccak256, type SecretBytes, signDigest, toHex } from '@cloister/crypto';
import { encodeFunctionData, pad } from 'viem';
import { rpc } from '../../chain-proof/test/anvil.ts';
import { chainId, type Town } from '../../chain-proof/test/town.ts';
import { type Equivocation, equivocationOf, type ShownReceipt } from '../src/index.ts';

const word = (value: number): Hex => `0x${value.toString(16).padStart(64, '0')}`;
/** Where a contract's mapping from addresses has its place. */
function slotOf(contract: string, label: string): number {
  const file = new URL(`../../chain/src/generated/storage/${contract}.json`, import.meta.url);
  const { storage } = JSON.parse(readFileSync(file, 'utf8')) as { storage: { label: string; slot: number }[] };
  return (storage.find((one) => one.label === label) as { slot: number }).slot;
}

async function setMapped(url: string, contract: Address, slot: number, key: Address, value: Hex): Promise<void> {
  const place = keccak256(concatBytes(fromHex(pad(key)), fromHex(word(slot))));
  await rpc(url, 'anvil_setStorageAt', [contract, toHex(place), value]);
  // The next block's root has it.
  await rpc(url, 'evm_mine', []);
}

const receipt: Receipt = {
  ...{ app: word(1), manifest: word(2), keyVersion: 1n, epoch: 5n, channel: word(0), sequence: 3n },
  ...{ context: word(0), requestHash: word(3), inputCommitment: word(4), outputCommitment: word(5) },
  ...{ status: 0, fee: 0n, cumulativeFee: 0n, blockNumber: 2n, blockHash: word(6), time: 7n, detailsHash: word(7) },
};

/** Two receipts of one place that say they were made at other times. */
export function equivocationBy(enclave: SecretBytes, registry: Address): Equivocation {
  const domain = { chainId, registry };
  const [first, second] = [7n, 8n].map((time) => {
    const stated = { ...receipt, time };
    const signature = toHex(signDigest(enclave, fromHex(receiptDigest(domain, stated))));
    return { domain, bare: { receipt: stated, signature } };
  }) as [ShownReceipt, ShownReceipt];
  return equivocationOf(first, second);
}

/** As if the town's worker had registered with this signer. */
export async function knowSigner({ anvil, deployed, workerId }: Town, enclave: SecretBytes): Promise<void> {
  await setMapped(
    anvil.url,
    deployed.workerRegistry,
    slotOf('workerRegistry', 'workerOf'),
    addressOf(enclave),
    workerId,
  );
}

/** As if the town's account had been a gatekeeper with this signer. */
export async function knowGatekeeper({ account, anvil, deployed }: Town, enclave: SecretBytes): Promise<void> {
  const slot = slotOf('gatekeeperCommittee', 'operatorOf');
  await setMapped(anvil.url, deployed.gatekeeperCommittee, slot, addressOf(enclave), pad(account.address));
}

/** What governance decides of slashing. */
export async function governSlashing(
  { account, anvil, deployed }: Town,
  call:
    | { readonly functionName: 'veto'; readonly args: readonly [Hex] }
    | { readonly functionName: 'setJudge'; readonly args: readonly [Address, boolean] },
): Promise<void> {
  const data = encodeFunctionData({ abi: slashingAbi, ...call } as Parameters<typeof encodeFunctionData>[0]);
  await governAtOnce(account, anvil.url, deployed.timelock, [{ target: deployed.slashing, data }]);
}
