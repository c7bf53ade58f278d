import { concatBytes, fromHex, type RsaPublicKey } from '@cloister/crypto';
import { AttestationError } from '../errors.ts';
import { DerReader, tags } from './der.ts';

/** A public key of a kind that vendors' certificates have. */
export type PublicKey =
  /** 64 bytes, x ‖ y. */
  | { readonly kind: 'p256'; readonly point: Uint8Array }
  /** 96 bytes, x ‖ y. */
  | { readonly kind: 'p384'; readonly point: Uint8Array }
  | ({ readonly kind: 'rsa' } & RsaPublicKey);
export type KeyKind = PublicKey['kind'];

const oids = {
  ecPublicKey: '2a8648ce3d0201',
  prime256v1: '2a8648ce3d030107',
  secp384r1: '2b81040022',
  rsaEncryption: '2a864886f70d010101',
} as const;
const p256SpkiPrefix = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');

/** A P-256 key given as x ‖ y. */
export function p256Key(point: Uint8Array): PublicKey {
  return { kind: 'p256', point };
}

/** DER SubjectPublicKeyInfo (RFC 5480) of a P-256 key given as x ‖ y. */
export function p256Spki(point: Uint8Array): Uint8Array {
  return concatBytes(p256SpkiPrefix, point);
}

/**
 * Reads a SubjectPublicKeyInfo (RFC 5280 §4.1) of P-256, P-384 (RFC 5480) or RSA (RFC 3279 §2.3.1), points uncompressed.
 * Throws UNSUPPORTED_CERTIFICATE for other kinds and for those not in `allowed`, MALFORMED_DER.
 */
export function readPublicKey(
  reader: DerReader,
  allowed: readonly KeyKind[],
): { readonly publicKey: PublicKey; readonly spki: Uint8Array } {
  const { place, position: at } = reader;
  const unsupported = (message: string): AttestationError =>
    new AttestationError({
      code: 'UNSUPPORTED_CERTIFICATE',
      place: `${place} @ ${at}`,
      message: `${message} at "${place} @ ${at}"`,
    });
  const spki = reader.element(tags.sequence, 'the public key');
  const info = new DerReader(spki, place).enter(tags.sequence, 'the public key');
  const kind = readKeyKind(info);
  if (kind === undefined || !allowed.includes(kind))
    throw unsupported(`Expected a public key of ${allowed.join(' or ')}`);
  const bits = info.wholeBits('the public key');
  info.finish('the public key');
  if (kind === 'rsa') return { publicKey: readRsaKey(bits, place), spki };
  if (bits.length !== (kind === 'p256' ? 65 : 97) || bits[0] !== 4)
    throw unsupported(`Expected an uncompressed point of ${kind}`);
  return { publicKey: { kind, point: bits.subarray(1) }, spki };
}

function readKeyKind(info: DerReader): KeyKind | undefined {
  const algorithm = info.enter(tags.sequence, 'the key algorithm');
  const id = algorithm.oid('the key algorithm');
  if (id === oids.rsaEncryption) {
    const parameters = algorithm.read(tags.null, 'the parameters of the key algorithm');
    return algorithm.done && parameters.length === 0 ? 'rsa' : undefined;
  }
  if (id !== oids.ecPublicKey || algorithm.peek() !== tags.oid) return undefined;
  const curve = algorithm.oid('the curve');
  if (!algorithm.done) return undefined;
  return curve === oids.prime256v1 ? 'p256' : curve === oids.secp384r1 ? 'p384' : undefined;
}

function readRsaKey(bits: Uint8Array, place: string): PublicKey {
  const outer = new DerReader(bits, `${place}.publicKey`);
  const pair = outer.enter(tags.sequence, 'the RSA key');
  outer.finish('the RSA key');
  const modulus = pair.unsigned('the modulus');
  const exponent = pair.unsigned('the exponent');
  pair.finish('the RSA key');
  return { kind: 'rsa', modulus, exponent };
}
