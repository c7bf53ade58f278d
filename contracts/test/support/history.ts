import { type Hex, toHex } from 'viem';

/** The history contract as EIP-2935 gives it; the simulated chain of Hardhat has a stub in its place that refuses. */
export const history2935Code = {
  address: '0x0000F90827F1C53a10cb7A02335B175320002935',
  code: '0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500',
} as const;

/** Where that contract keeps a block's hash. */
export function slotOf2935(blockNumber: bigint): Hex {
  return toHex(blockNumber % 8191n, { size: 32 });
}
