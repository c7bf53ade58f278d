import type { BoundedCache } from '../boundedCache.ts';
import { type CheckList, check } from '../checks.ts';
import { AttestationError } from '../errors.ts';
import { p256Key } from '../x509/publicKey.ts';
import { verifySignature } from '../x509/signature.ts';
import { assertUnixTime, assertValidAt } from '../x509/times.ts';
import { type PckChain, verifyPckChain } from './pckChain.ts';
import type { PckExtension } from './pckExtension.ts';
import { verifyQe } from './qe.ts';
import type { Quote } from './quote.ts';
import type { TcbInfo } from './tcbInfo.ts';
import type { TcbVerdict } from './tcbStatus.ts';
import type { VerifiedCollateral } from './verifyCollateral.ts';

export type VerifyQuoteOptions = {
  /** Unix seconds. */
  readonly now: number;
  /** Platform chains verified before; the caller bounds and owns it. Default: none. */
  readonly chains?: BoundedCache<PckChain>;
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

/** What every kind of quote shares once its signatures hold. */
export type VerifiedQuoteChain = {
  readonly platform: PckExtension;
  /** The quoting enclave's own status. */
  readonly qe: TcbVerdict;
  /** Unix seconds: until when certificates and collateral hold. */
  readonly notAfter: number;
};

/**
 * From the root down to the quote's body, in the order of trust: collateral still valid, platform's chain, collateral of
 * this kind of platform, quoting enclave, quote. Throws AttestationError.
 */
export async function verifyQuoteChain(
  quote: Quote,
  collateral: VerifiedCollateral,
  options: VerifyQuoteOptions,
): Promise<VerifiedQuoteChain> {
  const { now, chains, checks } = options;
  assertUnixTime(now);
  check(checks, 'tee-type', 'The collateral is of this type of TEE', () => assertTeeType(quote, collateral.tcbInfo));
  check(checks, 'collateral-dates', 'The collateral is valid now', () => assertValidAt(collateral.validities, now));
  const chain = await check(checks, 'platform', 'The platform has a certificate of the vendor', (inner) =>
    verifyPckChain(quote.pckChain, collateral, chains, inner),
  );
  const validities = [chain.leaf.validity, chain.ca.validity, chain.root.validity];
  check(checks, 'platform-dates', 'Its certificates are valid now', () => assertValidAt(validities, now));
  check(checks, 'platform-kind', 'The collateral is of this kind of platform', (inner) => {
    assertPlatform(chain.platform, collateral.tcbInfo);
    inner?.note(`FMSPC ${chain.platform.fmspc}, PCE ${chain.platform.pceId}`);
  });
  const qe = await check(checks, 'quoting-enclave', 'The quoting enclave is genuine', (inner) =>
    verifyQe(quote, chain.leaf, collateral.qeIdentity, inner),
  );
  await check(checks, 'signature', 'The attestation key signed the quote', () =>
    verifySignature(p256Key(quote.attestationKey), 'ecdsa-sha256', quote.signedPart, quote.signature, 'quote'),
  );
  const notAfter = Math.min(collateral.notAfter, ...validities.map((validity) => validity.notAfter));
  return { platform: chain.platform, qe, notAfter };
}

/** TCB info and QE identity (which `verifyCollateral` has found to agree) speak of one TEE type: the quote's. */
function assertTeeType(quote: Quote, tcbInfo: TcbInfo): void {
  const expected = quote.body.kind === 'tdx' ? 'TDX' : 'SGX';
  if (tcbInfo.id !== expected)
    throw new AttestationError({
      code: 'TEE_TYPE_MISMATCH',
      place: 'collateral.tcb_info.id',
      value: tcbInfo.id,
      message: `Expected TCB info "${expected}" for this quote, got "${tcbInfo.id}"`,
    });
}

/** TCB info speaks of one kind of platform: this one. */
function assertPlatform(platform: PckExtension, tcbInfo: TcbInfo): void {
  if (platform.fmspc !== tcbInfo.fmspc)
    throw new AttestationError({
      code: 'FMSPC_MISMATCH',
      place: 'collateral.tcb_info.fmspc',
      value: tcbInfo.fmspc,
      message: `Expected TCB info of platform kind "${platform.fmspc}", got "${tcbInfo.fmspc}"`,
    });
  if (platform.pceId !== tcbInfo.pceId)
    throw new AttestationError({
      code: 'PCE_ID_MISMATCH',
      place: 'collateral.tcb_info.pceId',
      value: tcbInfo.pceId,
      message: `Expected TCB info of PCE "${platform.pceId}", got "${tcbInfo.pceId}"`,
    });
}

/** The refusal of a quote of another TEE type than asked for. */
export function wrongTeeType(expected: string, kind: string): AttestationError {
  return new AttestationError({
    code: 'TEE_TYPE_MISMATCH',
    place: 'quote.teeType',
    value: kind,
    message: `Expected a quote of "${expected}", got one of "${kind}"`,
  });
}
