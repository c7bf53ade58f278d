import type { Address, Bytes32, Hex } from '@cloister/core';
import { type ChainAccount, TransactionError } from './account.ts';
import { ChainError, type ChainView } from './chainView.ts';
import { collateralStoreAbi, pckRegistryAbi, quoteVerifierAbi } from './generated/index.ts';

/** The contracts behind a network's verifier of Intel's evidence. */
export type IntelContracts = {
  readonly verifier: Address;
  readonly pckRegistry: Address;
  readonly collateralStore: Address;
};

/** One thing for the CollateralStore, as `collateralSubmissions` of @cloister/attestation/onchain makes it. */
export type Submission =
  | { readonly what: 'root-crl' | 'pck-ca' | 'tcb-signer' | 'pck-crl'; readonly der: Hex }
  | { readonly what: 'tcb-info' | 'qe-identity'; readonly json: Hex; readonly r: Hex; readonly s: Hex };

/** What became of a submission: the chain took it and what that cost, or has it, or something newer, already. */
export type Published = { readonly what: Submission['what']; readonly gas: bigint | null };

const functions = {
  'root-crl': 'submitRootCrl',
  'pck-ca': 'submitPckCa',
  'tcb-signer': 'submitTcbSigner',
  'pck-crl': 'submitPckCrl',
  'tcb-info': 'submitTcbInfo',
  'qe-identity': 'submitQeIdentity',
} as const;

/** Finds the contracts behind a verifier of SGX or TDX evidence. */
export async function intelContractsOf(
  view: ChainView,
  verifier: Address,
  signal?: AbortSignal,
): Promise<IntelContracts> {
  const pckRegistry = await view.read(
    { address: verifier, abi: quoteVerifierAbi, functionName: 'pckRegistry', args: [] },
    signal,
  );
  const store = await view.read({ address: pckRegistry, abi: pckRegistryAbi, functionName: 'store', args: [] }, signal);
  return { verifier, pckRegistry: lower(pckRegistry), collateralStore: lower(store) };
}

/** How the store refuses what is older than what it has: by date, or by a lower evaluation number under a later date. */
const olderStatement = new Set(['CollateralStoreNotNewer', 'CollateralStoreEvaluationLowered']);
const olderCertificate = new Set(['PckRegistryNotNewer']);
/** A platform's certificate that ends sooner is replaced by one that lasts longer. */
const freshSeconds = 30n * 86_400n;

/**
 * Submits what is newer than what stands on the chain, in the given order. Anyone may; the contract checks every
 * signature, and says what is older when the transaction is simulated, so that it costs nothing. Throws
 * TRANSACTION_REFUSED with the contract's reason for what does not hold.
 */
export async function publishCollateral(
  account: ChainAccount,
  store: Address,
  submissions: readonly Submission[],
  signal?: AbortSignal,
): Promise<readonly Published[]> {
  const published: Published[] = [];
  for (const submission of submissions)
    published.push({ what: submission.what, gas: await submit(account, store, submission, signal) });
  return published;
}

/** Makes a platform known by its certificate; null where it is known already, by one that lasts. */
export async function registerPck(
  account: ChainAccount,
  view: ChainView,
  { pckRegistry }: IntelContracts,
  platform: { readonly platformKey: Bytes32; readonly certificate: Hex },
  signal?: AbortSignal,
): Promise<bigint | null> {
  const knownUntil = await pckKnownUntil(view, pckRegistry, platform.platformKey, signal);
  if (knownUntil !== undefined && knownUntil > (await view.head(signal)).timestamp + freshSeconds) return null;
  return unlessKnown(olderCertificate, () =>
    account.write(
      { address: pckRegistry, abi: pckRegistryAbi, functionName: 'registerPck', args: [platform.certificate] },
      signal,
    ),
  );
}

/** When the certificate ends by which the chain knows a platform, in unix seconds; undefined where it knows none. */
async function pckKnownUntil(
  view: ChainView,
  pckRegistry: Address,
  platformKey: Bytes32,
  signal: AbortSignal | undefined,
): Promise<bigint | undefined> {
  try {
    const { notAfter } = await view.read(
      { address: pckRegistry, abi: pckRegistryAbi, functionName: 'platformOf', args: [platformKey] },
      signal,
    );
    return BigInt(notAfter);
  } catch (error) {
    if (error instanceof ChainError && error.meta.errorName === 'PckRegistryPlatformUnknown') return undefined;
    throw error;
  }
}

function submit(
  account: ChainAccount,
  store: Address,
  submission: Submission,
  signal: AbortSignal | undefined,
): Promise<bigint | null> {
  const args = 'der' in submission ? [submission.der] : [submission.json, submission.r, submission.s];
  const call = { address: store, abi: collateralStoreAbi, functionName: functions[submission.what], args };
  return unlessKnown(olderStatement, () => account.write(call as Parameters<typeof account.write>[0], signal));
}

/** The gas of a transaction; null where the contract has what it brings. */
async function unlessKnown(
  refusals: ReadonlySet<string>,
  write: () => Promise<{ readonly gasUsed: bigint }>,
): Promise<bigint | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await write()).gasUsed;
    } catch (error) {
      if (!(error instanceof TransactionError)) throw error;
      if (error.code === 'TRANSACTION_REFUSED' && refusals.has(String(error.meta.errorName))) return null;
      // Somebody else's transaction with the same content was mined first: trying again says so by name.
      if (error.code !== 'TRANSACTION_REVERTED' || attempt > 1) throw error;
    }
  }
}

function lower(address: string): Address {
  return address.toLowerCase() as Address;
}
