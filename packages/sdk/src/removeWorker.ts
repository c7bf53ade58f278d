import { type ChainAccount, type RegistryReader, workerRegistryAbi } from '@cloister/chain';
import type { Bytes32, NetworkFile } from '@cloister/core';

/** Evicts a worker whose image, network file, machine or TCB is no longer accepted. Throws TRANSACTION_REFUSED where it is. */
export async function evictWorker(
  { registry, account }: { readonly registry: RegistryReader; readonly account: ChainAccount },
  { contracts }: NetworkFile,
  workerId: Bytes32,
  signal: AbortSignal | undefined,
): Promise<void> {
  const record = await registry.workerRecord(workerId, undefined, signal);
  const contract = { address: contracts.workerRegistry, abi: workerRegistryAbi };
  await account.write({ ...contract, functionName: 'evict', args: [workerId, record] }, signal);
}

/** Takes a worker out of the network, in the name of its operator. Throws TransactionError where the account is not its operator. */
export async function retireWorker(
  account: ChainAccount,
  { contracts }: NetworkFile,
  workerId: Bytes32,
): Promise<void> {
  const contract = { address: contracts.workerRegistry, abi: workerRegistryAbi };
  await account.write({ ...contract, functionName: 'retire', args: [workerId] });
}
