import type { Hex } from '@cloister/core';
import { type ContractFunctionArgs, encodeAbiParameters, getAbiItem, keccak256 } from 'viem';
import { workerRegistryAbi } from './generated/index.ts';

/** What a registration states and a renewal leaves as it is (`WorkerRecord` of IWorkerRegistry). */
export type WorkerRecord = ContractFunctionArgs<typeof workerRegistryAbi, 'nonpayable', 'evict'>[1];

const [, recordParameter] = getAbiItem({ abi: workerRegistryAbi, name: 'evict' }).inputs;

/** The hash that the registry keeps of a record: `keccak256(abi.encode(record))`. */
export function workerRecordHash(record: WorkerRecord): Hex {
  return keccak256(encodeAbiParameters([recordParameter], [record]));
}
