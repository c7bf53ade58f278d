import { type CreditFile, readCreditFile, scoreCreditFile } from './score.ts';

/** A credit file as its issuer hands it out: the exact text that was signed, and the P-256 signature over it. */
export type SignedCreditFile = {
  /** JSON text of a {@link CreditFile}. */
  readonly statement: string;
  /** ECDSA P-256 with SHA-256 over the text's UTF-8 bytes: r ‖ s, base64url. */
  readonly signature: string;
};

type Env = {
  /** The issuer's P-256 public key, uncompressed (65 bytes), base64url. Fixed by the manifest. */
  readonly ISSUER_KEY: string;
};

/**
 * POST /report answers the applicant: score, decision and limit as JSON.
 * POST /decision answers a contract: abi.encode(address applicant, uint256 approved, uint256 limit), nothing else.
 * A file that its issuer did not sign exactly so is refused with 422.
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method !== 'POST' || (pathname !== '/report' && pathname !== '/decision'))
      return refuse(404, 'Ask with POST /report or POST /decision');
    const file = await authenticFile(await request.text(), env.ISSUER_KEY);
    if (typeof file === 'string') return refuse(422, file);
    const result = scoreCreditFile(file);
    if (pathname === '/report') return Response.json({ applicant: file.applicant, ...result });
    return new Response(abiDecision(file, result.approved, result.limit), {
      headers: { 'content-type': 'application/octet-stream' },
    });
  },
};

async function authenticFile(text: string, issuerKey: string): Promise<CreditFile | string> {
  let signed: Partial<SignedCreditFile>;
  try {
    signed = JSON.parse(text);
  } catch {
    return 'The request is no JSON';
  }
  if (typeof signed?.statement !== 'string' || typeof signed.signature !== 'string') return 'The file is not signed';
  const key = await crypto.subtle.importKey(
    'raw',
    fromBase64Url(issuerKey),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['verify'],
  );
  if (!(await isSignedBy(key, signed.statement, signed.signature)))
    return "The file does not carry its issuer's signature";
  return readCreditFile(JSON.parse(signed.statement));
}

/** False as well for a signature that is none: whatever an applicant sends is refused, it is no error of this code. */
async function isSignedBy(key: CryptoKey, statement: string, signature: string): Promise<boolean> {
  try {
    const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
    return await crypto.subtle.verify(algorithm, key, fromBase64Url(signature), new TextEncoder().encode(statement));
  } catch {
    return false;
  }
}

function abiDecision(file: CreditFile, approved: boolean, limit: number): Uint8Array<ArrayBuffer> {
  const words = [file.applicant.slice(2), approved ? '1' : '0', limit.toString(16)]
    .map((word) => word.padStart(64, '0'))
    .join('');
  return Uint8Array.from({ length: 96 }, (_, index) => Number.parseInt(words.slice(index * 2, index * 2 + 2), 16));
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
}

function refuse(status: number, reason: string): Response {
  return Response.json({ refused: reason }, { status });
}
