import { type Awaitable, engine, equalBytes } from '@cloister/crypto';
import { AttestationError } from '../errors.ts';
import { DerReader, tags } from './der.ts';
import type { PublicKey } from './publicKey.ts';

/** How something is signed; each goes with one kind of key. */
export type SignatureAlgorithm = 'ecdsa-sha256' | 'ecdsa-sha384' | 'rsa-pss-sha384';

const oids = {
  ecdsaWithSha256: '2a8648ce3d040302',
  ecdsaWithSha384: '2a8648ce3d040303',
  rsaPss: '2a864886f70d01010a',
  mgf1: '2a864886f70d010108',
  sha384: '608648016503040202',
} as const;
const context = { hash: 0xa0, maskGeneration: 0xa1, saltLength: 0xa2, trailer: 0xa3 } as const;
const saltLength = 48;

/** The AlgorithmIdentifier of a signature, read and as it stands: the two in a certificate must be the same bytes. */
export type AlgorithmIdentifier = { readonly algorithm: SignatureAlgorithm; readonly bytes: Uint8Array };

/**
 * Reads an AlgorithmIdentifier: ECDSA without parameters (RFC 5758 §3.2), RSASSA-PSS with SHA-384 throughout and a salt of
 * 48 bytes (RFC 4055 §3.1). Throws `code` for any other and for those not in `allowed`, MALFORMED_DER.
 */
export function readAlgorithm(
  reader: DerReader,
  allowed: readonly SignatureAlgorithm[],
  code: 'UNSUPPORTED_CERTIFICATE' | 'UNSUPPORTED_CRL',
): AlgorithmIdentifier {
  const { place } = reader;
  const bytes = reader.element(tags.sequence, 'the signature algorithm');
  const identifier = new DerReader(bytes, place).enter(tags.sequence, 'the signature algorithm');
  const algorithm = algorithmOf(identifier);
  if (algorithm === undefined || !allowed.includes(algorithm))
    throw new AttestationError({
      code,
      place: `${place} @ ${reader.position}`,
      message: `Expected "${place}" to be signed by ${allowed.join(' or ')}`,
    });
  return { algorithm, bytes };
}

/** Refuses a certificate or CRL whose signed part names another algorithm than its outside (RFC 5280 §4.1.1.2). */
export function assertSameAlgorithm(
  outer: AlgorithmIdentifier,
  inner: AlgorithmIdentifier,
  place: string,
  code: 'MALFORMED_CERTIFICATE' | 'MALFORMED_CRL',
): void {
  if (!equalBytes(outer.bytes, inner.bytes))
    throw new AttestationError({
      code,
      place,
      message: `Expected the same signature algorithm outside and inside the signed part at "${place}"`,
    });
}

/** A signature in a BIT STRING: of ECDSA (RFC 3279 §2.2.3) as r ‖ s, of RSA as it is. */
export function readSignature(reader: DerReader, algorithm: SignatureAlgorithm): Uint8Array {
  if (algorithm === 'rsa-pss-sha384') return reader.wholeBits('the signature');
  const half = algorithm === 'ecdsa-sha256' ? 32 : 48;
  const bits = reader.enter(tags.bitString, 'the signature');
  if (bits.done || bits.bytes[bits.position] !== 0) throw bits.fail('Expected a signature of whole bytes');
  bits.position += 1;
  const pair = bits.enter(tags.sequence, 'the signature');
  bits.finish('the signature');
  const signature = new Uint8Array(2 * half);
  for (const offset of [0, half]) {
    const part = pair.unsigned('a part of the signature');
    if (part.length > half) throw pair.fail(`Expected parts of the signature of at most ${half} bytes`);
    signature.set(part, offset + half - part.length);
  }
  pair.finish('the signature');
  return signature;
}

/** Throws SIGNATURE_INVALID unless the signature over the message holds under a key of the algorithm's kind. */
export async function verifySignature(
  publicKey: PublicKey,
  algorithm: SignatureAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
  place: string,
): Promise<void> {
  if (await holds(publicKey, algorithm, message, signature)) return;
  throw new AttestationError({ code: 'SIGNATURE_INVALID', place, message: `Expected a valid signature of "${place}"` });
}

function holds(
  key: PublicKey,
  algorithm: SignatureAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): Awaitable<boolean> {
  if (algorithm === 'ecdsa-sha256') return key.kind === 'p256' && engine.verifyP256(key.point, message, signature);
  if (algorithm === 'ecdsa-sha384') return key.kind === 'p384' && engine.verifyP384(key.point, message, signature);
  return key.kind === 'rsa' && engine.verifyRsaPss(key, message, signature);
}

function algorithmOf(identifier: DerReader): SignatureAlgorithm | undefined {
  const id = identifier.oid('the signature algorithm');
  if (id === oids.rsaPss) return isPssSha384(identifier) ? 'rsa-pss-sha384' : undefined;
  if (!identifier.done) return undefined;
  return id === oids.ecdsaWithSha256 ? 'ecdsa-sha256' : id === oids.ecdsaWithSha384 ? 'ecdsa-sha384' : undefined;
}

/** RSASSA-PSS-params. AMD writes the trailer field also where it has its default, against DER: both forms are read. */
function isPssSha384(identifier: DerReader): boolean {
  const parameters = identifier.enter(tags.sequence, 'the PSS parameters');
  identifier.finish('the signature algorithm');
  const hash = parameters.enter(context.hash, 'the hash of PSS');
  const isSha384 = readHash(hash);
  hash.finish('the hash of PSS');
  const mask = parameters.enter(context.maskGeneration, 'the mask generation of PSS');
  const maskAlgorithm = mask.enter(tags.sequence, 'the mask generation of PSS');
  mask.finish('the mask generation of PSS');
  const isMgf1 = maskAlgorithm.oid('the mask generation of PSS') === oids.mgf1 && readHash(maskAlgorithm);
  if (!isMgf1) return false;
  maskAlgorithm.finish('the mask generation of PSS');
  const salt = parameters.enter(context.saltLength, 'the salt length of PSS');
  const hasSalt = salt.smallInteger(0xffff, 'the salt length of PSS') === saltLength;
  salt.finish('the salt length of PSS');
  if (!parameters.done) {
    const trailer = parameters.enter(context.trailer, 'the trailer field of PSS');
    if (trailer.smallInteger(0xffff, 'the trailer field of PSS') !== 1) return false;
    trailer.finish('the trailer field of PSS');
  }
  parameters.finish('the PSS parameters');
  return isSha384 && hasSalt;
}

/** AlgorithmIdentifier of SHA-384, with NULL or without parameters (RFC 4055 §2.1). */
function readHash(reader: DerReader): boolean {
  const hash = reader.enter(tags.sequence, 'a hash of PSS');
  const isSha384 = hash.oid('a hash of PSS') === oids.sha384;
  if (isSha384 && !hash.done && hash.read(tags.null, 'the parameters of a hash').length !== 0) return false;
  return isSha384 && hash.done;
}
