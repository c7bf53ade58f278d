import { type ChainAccount, type ChainView, phaTokenAbi } from '@cloister/chain';
import type { Address, NetworkFile } from '@cloister/core';
import { type Hex, parseSignature } from 'viem';

/** A permit is good for so long by the chain's clock. Seconds. */
const permitSeconds = 900n;

/** A permit as contracts take it. */
export type PhaPermit = { readonly deadline: bigint; readonly v: number; readonly r: Hex; readonly s: Hex };

/** The account's leave for a contract to take so much of its PHA (ERC-2612). Throws ChainError. */
export async function signPhaPermit(
  network: Pick<NetworkFile, 'chainId' | 'contracts'>,
  view: ChainView,
  account: ChainAccount,
  { spender, value }: { readonly spender: Address; readonly value: bigint },
  signal?: AbortSignal,
): Promise<PhaPermit> {
  const token = { address: network.contracts.phaToken, abi: phaTokenAbi } as const;
  const [{ timestamp }, domain, nonce] = await Promise.all([
    view.head(signal),
    view.read({ ...token, functionName: 'eip712Domain', args: [] }, signal),
    view.read({ ...token, functionName: 'nonces', args: [account.address] }, signal),
  ]);
  const deadline = timestamp + permitSeconds;
  const signature = await account.signTypedData({
    domain: {
      name: domain[1],
      version: domain[2],
      chainId: network.chainId,
      verifyingContract: network.contracts.phaToken,
    },
    types: {
      Permit: [
        { name: 'owner', type: 'address' },
        { name: 'spender', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'nonce', type: 'uint256' },
        { name: 'deadline', type: 'uint256' },
      ],
    },
    primaryType: 'Permit',
    message: { owner: account.address, spender, value, nonce, deadline },
  });
  const { r, s, yParity } = parseSignature(signature as Hex);
  return { deadline, v: 27 + yParity, r, s };
}
