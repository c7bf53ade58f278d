import type { SignedCreditFile } from './function.ts';
import type { CreditFile } from './score.ts';

/** A credit bureau for this example: a P-256 key pair and what it says about one applicant. */
export type Issuer = {
  /** For the manifest: the public key, uncompressed, base64url. */
  readonly publicKey: string;
  sign(file: CreditFile): Promise<SignedCreditFile>;
  /** Both keys, to be the same bureau again later. */
  export(): Promise<StoredIssuer>;
};

export type StoredIssuer = { readonly publicKey: JsonWebKey; readonly privateKey: JsonWebKey };

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };

/** Makes a bureau with a fresh key. */
export async function createIssuer(): Promise<Issuer> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  return issuerOf(keys.publicKey, keys.privateKey);
}

/** The bureau whose keys were exported before. */
export async function loadIssuer(stored: StoredIssuer): Promise<Issuer> {
  const publicKey = await crypto.subtle.importKey('jwk', stored.publicKey, algorithm, true, ['verify']);
  return issuerOf(publicKey, await crypto.subtle.importKey('jwk', stored.privateKey, algorithm, true, ['sign']));
}

async function issuerOf(publicKey: CryptoKey, privateKey: CryptoKey): Promise<Issuer> {
  return {
    publicKey: base64Url(new Uint8Array(await crypto.subtle.exportKey('raw', publicKey))),
    async sign(file) {
      const statement = JSON.stringify(file);
      const signature = await crypto.subtle.sign(
        { name: 'ECDSA', hash: 'SHA-256' },
        privateKey,
        new TextEncoder().encode(statement),
      );
      return { statement, signature: base64Url(new Uint8Array(signature)) };
    },
    async export() {
      return {
        publicKey: await crypto.subtle.exportKey('jwk', publicKey),
        privateKey: await crypto.subtle.exportKey('jwk', privateKey),
      };
    },
  };
}

/** A plausible applicant. */
export function sampleCreditFile(applicant: string): CreditFile {
  return {
    issuer: 'Example Credit Bureau',
    applicant,
    monthlyIncome: 4_250,
    monthlyDebtService: 610,
    accounts: [
      { openedMonthsAgo: 96, limit: 8_000, balance: 1_150, latePayments: 0 },
      { openedMonthsAgo: 31, limit: 3_500, balance: 420, latePayments: 1 },
    ],
  };
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
