import { constants, createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { concatBytes } from '@cloister/crypto';
import {
  bitString,
  der,
  derTrue,
  integer,
  integerOfBytes,
  octetString,
  oid,
  sequence,
  set,
  time,
  utf8String,
} from './derWriter.ts';
import { extension } from './issueCertificate.ts';

/** A key of any kind that vendors have, for certificates that are made up. */
export type AnyKey = {
  readonly kind: 'p256' | 'p384' | 'rsa';
  readonly privateKey: KeyObject;
  /** DER. */
  readonly spki: Uint8Array;
};

/** A fresh key of a vendor's kind. */
export function makeKey(kind: AnyKey['kind']): AnyKey {
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: kind === 'p256' ? 'P-256' : 'P-384' });
  return { kind, privateKey, spki: Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' })) };
}

const sha384 = sequence(oid('2.16.840.1.101.3.4.2.2'), der(0x05));

/** The AlgorithmIdentifier of RSASSA-PSS with SHA-384 in AMD's form. */
export function pssAlgorithm(
  options: { saltLength?: number; trailer?: number | undefined; hash?: Uint8Array } = {},
): Uint8Array {
  const { saltLength = 48, hash = sha384 } = options;
  const trailer = 'trailer' in options ? options.trailer : 1;
  return sequence(
    oid('1.2.840.113549.1.1.10'),
    sequence(
      der(0xa0, hash),
      der(0xa1, sequence(oid('1.2.840.113549.1.1.8'), hash)),
      der(0xa2, integer(saltLength)),
      ...(trailer === undefined ? [] : [der(0xa3, integer(trailer))]),
    ),
  );
}

export const ecdsaWithSha384 = sequence(oid('1.2.840.10045.4.3.3'));

/** A signature in the form that certificates hold, by the algorithm of the key's vendor. */
function signatureOf(key: AnyKey, message: Uint8Array): Uint8Array {
  if (key.kind === 'rsa') {
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 };
    return Uint8Array.from(sign('sha384', message, { key: key.privateKey, ...padding }));
  }
  return Uint8Array.from(sign(key.kind === 'p256' ? 'sha256' : 'sha384', message, key.privateKey));
}

/** A certificate to be made. Every field is free: what is not consistent makes a hostile variant. */
export type AnyCertificateSpec = {
  readonly subject: string;
  readonly issuer: string;
  readonly key: AnyKey;
  readonly signer: AnyKey;
  readonly serial: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Undefined leaves basic constraints and key usage out. */
  readonly isCa: boolean | undefined;
  readonly pathLength?: number | undefined;
  readonly keyUsage: number;
  readonly issuerKey?: AnyKey | undefined;
  readonly extensions?: readonly Uint8Array[];
  /** In place of the signer's own. */
  readonly algorithm?: Uint8Array;
  readonly innerAlgorithm?: Uint8Array;
};

/** An X.509 v3 certificate in DER. */
export function issue(spec: AnyCertificateSpec): Uint8Array {
  const algorithm = spec.algorithm ?? algorithmOf(spec.signer);
  const constraints =
    spec.isCa === true
      ? sequence(derTrue, ...(spec.pathLength === undefined ? [] : [integer(spec.pathLength)]))
      : sequence();
  const extensions = [
    ...(spec.issuerKey === undefined ? [] : [authorityKeyId(spec.issuerKey)]),
    ...(spec.isCa === undefined
      ? []
      : [
          extension('2.5.29.14', octetString(keyId(spec.key))),
          extension('2.5.29.15', bitString(Uint8Array.of(spec.keyUsage), unusedBits(spec.keyUsage)), true),
          extension('2.5.29.19', constraints, true),
        ]),
    ...(spec.extensions ?? []),
  ];
  const tbs = sequence(
    der(0xa0, integer(2)),
    integerOfBytes(spec.serial),
    spec.innerAlgorithm ?? algorithm,
    distinguishedName(spec.issuer),
    sequence(time(spec.notBefore), time(spec.notAfter)),
    distinguishedName(spec.subject),
    spec.key.spki,
    der(0xa3, sequence(...extensions)),
  );
  return sequence(tbs, algorithm, bitString(signatureOf(spec.signer, tbs)));
}

/** A revocation list to be made. */
export type AnyCrlSpec = {
  readonly issuer: string;
  readonly signer: AnyKey;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly revoked: readonly Uint8Array[];
  readonly issuerKey?: AnyKey;
};

/** A CRL v2 in DER. */
export function issueList(spec: AnyCrlSpec): Uint8Array {
  const algorithm = algorithmOf(spec.signer);
  const entries = spec.revoked.map((serial) => sequence(integerOfBytes(serial), time(spec.thisUpdate)));
  const tbs = sequence(
    integer(1),
    algorithm,
    distinguishedName(spec.issuer),
    time(spec.thisUpdate),
    time(spec.nextUpdate),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    der(0xa0, sequence(extension('2.5.29.20', integer(1)), authorityKeyId(spec.issuerKey ?? spec.signer))),
  );
  return sequence(tbs, algorithm, bitString(signatureOf(spec.signer, tbs)));
}

/** ECDSA P-384 over SHA-384 of the message: 96 bytes, r ‖ s. */
export function signP384(key: AnyKey, message: Uint8Array): Uint8Array {
  return Uint8Array.from(sign('sha384', message, { key: key.privateKey, dsaEncoding: 'ieee-p1363' }));
}

function algorithmOf({ kind }: AnyKey): Uint8Array {
  if (kind === 'rsa') return pssAlgorithm();
  return kind === 'p256' ? sequence(oid('1.2.840.10045.4.3.2')) : ecdsaWithSha384;
}

function distinguishedName(commonName: string): Uint8Array {
  const part = (id: string, text: string): Uint8Array => set(sequence(oid(id), utf8String(text)));
  return sequence(part('2.5.4.10', 'Cloister DEV, unsafe simulated'), part('2.5.4.3', commonName));
}

function keyId({ spki }: AnyKey): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(concatBytes(spki)).digest()).subarray(0, 20);
}

function authorityKeyId(key: AnyKey): Uint8Array {
  return extension('2.5.29.35', sequence(der(0x80, keyId(key))));
}

function unusedBits(byte: number): number {
  let unused = 0;
  while (unused < 7 && ((byte >> unused) & 1) === 0) unused++;
  return unused;
}
