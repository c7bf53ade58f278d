import { CloisterError } from './errors.ts';
import type { Address, Hex } from './hex.ts';
import * as z from './schema.ts';

/** What an app may sign with its account on the chain, by its manifest. Everything else is refused. */
export type ChainPolicy = {
  /** The chain that transactions are for: the network's. */
  readonly chainId: number;
  /** Contracts and accounts, and what may be called there: the first 4 bytes of the call data, or "0x" for a call without any. */
  readonly calls: readonly { readonly to: Address; readonly selectors: readonly Hex[] }[];
  /** Of one transaction: what it may send, and the most that its gas may cost, in wei. */
  readonly maxValueWei: string;
  readonly maxFeeWei: string;
  /** Transactions of one day of UTC, by the chain's time. */
  readonly maxPerDay: number;
  /** Whether it may sign messages (EIP-191), which may be worth something to others. */
  readonly messages: boolean;
};

/** What an app wishes to have signed. */
export type WishedTransaction = { readonly to: Address; readonly data: Hex; readonly valueWei: bigint };

const selectorBytes = 4;

/** The form of a {@link ChainPolicy} in a manifest. */
export const chainPolicyForm = z.strictObject({
  chainId: z.intBetween(1, Number.MAX_SAFE_INTEGER),
  calls: z
    .array(
      z.strictObject({
        to: z.address,
        selectors: z.array(z.pattern(/^0x(?:[0-9a-f]{8})?$/)).check(z.refineArray(1, 32)),
      }),
    )
    .check(z.refineArray(0, 32)),
  maxValueWei: z.uintText(128),
  maxFeeWei: z.uintText(128),
  maxPerDay: z.intBetween(0, 1_000),
  messages: z.boolean(),
});

/**
 * Makes sure that a policy allows a transaction. Throws CHAIN_CONTRACT_NOT_ALLOWED, CHAIN_FUNCTION_NOT_ALLOWED, CHAIN_VALUE_TOO_HIGH.
 * Fees and numbers of transactions are known only later.
 */
export function assertPolicyAllows({ calls, maxValueWei }: ChainPolicy, wished: WishedTransaction): void {
  const { to, data, valueWei } = wished;
  const named = calls.filter((call) => call.to === to);
  if (named.length === 0)
    throw new ChainPolicyError(
      'CHAIN_CONTRACT_NOT_ALLOWED',
      `The manifest's "chain" does not name the address "${to}"`,
    );
  // A function has four bytes: with one to three a contract runs its fallback, which no selector names.
  const selector = data.slice(0, 2 + 2 * selectorBytes) as Hex;
  if (!named.some(({ selectors }) => selectors.includes(selector)))
    throw new ChainPolicyError(
      'CHAIN_FUNCTION_NOT_ALLOWED',
      `The manifest's "chain" does not name the function "${selector}" of "${to}"`,
    );
  if (valueWei < 0n || valueWei > BigInt(maxValueWei))
    throw new ChainPolicyError(
      'CHAIN_VALUE_TOO_HIGH',
      `A transaction of this app may send "${maxValueWei}" wei, got "${valueWei}"`,
    );
}

export type ChainPolicyErrorCode = 'CHAIN_CONTRACT_NOT_ALLOWED' | 'CHAIN_FUNCTION_NOT_ALLOWED' | 'CHAIN_VALUE_TOO_HIGH';

/** What an app's manifest does not let it sign. */
export class ChainPolicyError extends CloisterError<ChainPolicyErrorCode> {
  override readonly name = 'ChainPolicyError';
  constructor(code: ChainPolicyErrorCode, message: string) {
    super({ code, message });
  }
}
