import type { PaidStorage } from '@cloister/chain';
import {
  type Address,
  appId,
  type Bytes32,
  blobClaimDigest,
  type RecordDomain,
  type SignedBlobClaim,
  zeroAddress,
} from '@cloister/core';
import { CryptoError, fromHex, recoverAddress } from '@cloister/crypto';
import { ProblemError } from './problem.ts';

export type ClaimChecksInit = {
  readonly domain: RecordDomain;
  /** Zero where there is no such app. */
  readonly ownerOf: (app: Bytes32, signal: AbortSignal) => Promise<Address>;
  /** Whether an active worker signs receipts with it. */
  readonly isActiveSigner: (signer: Address, signal: AbortSignal) => Promise<boolean>;
  /** What is paid, as last read, and as of now. */
  readonly known: () => PaidStorage | undefined;
  readonly refresh: () => Promise<PaidStorage>;
  readonly publicUrl: () => string;
  /** Monotonic, ms. */
  readonly now?: () => number;
};

/** Whose word a claim is. `pending`: that of who will own the app once it is created. */
export type ClaimBy = 'owner' | 'host' | 'pending';

const chainMs = 10_000;
const keepMs = 30_000;
const maxKept = 10_000;

/** Whether a claim is the word of who may speak for its app, to this gateway, of now. */
export class ClaimChecks {
  readonly #init: ClaimChecksInit;
  readonly #now: () => number;
  readonly #owners = new Map<Bytes32, { readonly value: Address; readonly at: number }>();
  readonly #signers = new Map<Address, { readonly value: boolean; readonly at: number }>();

  constructor(init: ClaimChecksInit) {
    this.#init = init;
    this.#now = init.now ?? (() => performance.now());
  }

  /** Throws ProblemError: claim-refused for what does not hold, claims-unavailable where the chain can't be read. */
  async check(claim: SignedBlobClaim): Promise<ClaimBy> {
    const { domain, publicUrl } = this.#init;
    if (claim.gateway !== publicUrl())
      throw refused(`It is for gateway "${claim.gateway}", this one is "${publicUrl()}"`);
    await this.#assertOfNow(claim.epoch);
    const signer = signerOf(domain, claim);
    const owner = await this.#read(this.#owners, claim.app, this.#init.ownerOf);
    if (owner === signer) return 'owner';
    if (owner === zeroAddress && claim.salt !== undefined && appId(signer, claim.salt) === claim.app) return 'pending';
    // An app that changed hands, or was created, since it was asked for.
    const now = await this.#read(this.#owners, claim.app, this.#init.ownerOf, true);
    if (now === signer) return 'owner';
    if (claim.keep && now !== zeroAddress && (await this.#read(this.#signers, signer, this.#init.isActiveSigner)))
      return 'host';
    throw refused(`Account "${signer}" does not speak for app "${claim.app}"`);
  }

  /** This epoch and the one before: later ones would outlive what the owner says next. */
  async #assertOfNow(stated: number): Promise<void> {
    const holds = (paid: PaidStorage | undefined) =>
      paid !== undefined && stated <= paid.epoch && stated >= paid.epoch - 1;
    if (holds(this.#init.known())) return;
    const paid = await this.#init.refresh().catch((cause: unknown) => {
      throw unavailable(cause);
    });
    if (!holds(paid)) throw refused(`It was signed in epoch "${stated}", now it is "${paid.epoch}"`);
  }

  async #read<Key extends string, Value>(
    kept: Map<Key, { readonly value: Value; readonly at: number }>,
    key: Key,
    ask: (key: Key, signal: AbortSignal) => Promise<Value>,
    anew = false,
  ): Promise<Value> {
    const known = kept.get(key);
    if (!anew && known !== undefined && this.#now() - known.at < keepMs) return known.value;
    const value = await ask(key, AbortSignal.timeout(chainMs)).catch((cause: unknown) => {
      throw unavailable(cause);
    });
    kept.delete(key);
    if (kept.size >= maxKept) for (const oldest of kept.keys()) if (kept.delete(oldest)) break;
    kept.set(key, { value, at: this.#now() });
    return value;
  }
}

function signerOf(domain: RecordDomain, claim: SignedBlobClaim): Address {
  try {
    return recoverAddress(fromHex(blobClaimDigest(domain, claim)), fromHex(claim.signature));
  } catch (error) {
    if (error instanceof CryptoError) throw refused('Its signature is none');
    throw error;
  }
}

function refused(why: string): ProblemError {
  return new ProblemError('claim-refused', why);
}

function unavailable(cause: unknown): ProblemError {
  return new ProblemError('claims-unavailable', 'The chain can’t be read now', { cause });
}
