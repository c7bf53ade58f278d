import { fromUtf8, sha256, utf8 } from '@cloister/crypto';
import { assertAtMost, bounds } from '../bounds.ts';
import { type CheckList, check } from '../checks.ts';
import { AttestationError } from '../errors.ts';
import { JsonValue } from '../json.ts';
import { hexOf } from '../x509/der.ts';
import type { GpuClaims } from './gpuClaims.ts';
import type { TokenKey } from './tokenKeys.ts';
import { type VerifiedToken, verifyToken } from './verifyToken.ts';

export type VerifyGpuTokensOptions = {
  /** NVIDIA's, from https://nras.attestation.nvidia.com/.well-known/jwks.json or wherever the caller trusts them to come from. */
  readonly keys: readonly TokenKey[];
  /** Unix seconds. */
  readonly now: number;
  /** 32 bytes in hexadecimal: what the GPUs were challenged with. Only a guest that vouches for it is tied to them. */
  readonly nonce: string;
  /** Default: NVIDIA's service. */
  readonly issuer?: string | undefined;
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

/** NVIDIA Remote Attestation Service. */
export const nvidiaIssuer = 'https://nras.attestation.nvidia.com';
const maxGpus = 64;

/**
 * Verifies the answer of NVIDIA's Remote Attestation Service, `[["JWT", overall], {"GPU-0": token, …}]`: the overall token and
 * every GPU's by its signature, each of the latter by its digest in the former too, all for this nonce; then what they say of
 * each GPU: attested as a whole, measurements as published, secure boot, debugging disabled (NVIDIA, "GPU Claims", version
 * 3.0). Throws AttestationError.
 */
export async function verifyGpuTokens(
  answer: Uint8Array | string,
  options: VerifyGpuTokensOptions,
): Promise<readonly GpuClaims[]> {
  const { keys, now, issuer = nvidiaIssuer, checks } = options;
  const nonce = options.nonce.toLowerCase().replace(/^0x/, '');
  const { overall, tokens } = check(checks, 'form', 'The answer has its form', () => readAnswer(answer));
  const common = { keys, now, issuer };
  const digests = await check(
    checks,
    'overall',
    'The overall result is signed, for this nonce, and good',
    async (inner) => {
      const token = await verifyToken(overall, { ...common, place: 'gpuTokens.overall', checks: inner });
      assertNonce(token.claims, nonce);
      assertClaim(token.claims, 'x-nvidia-overall-att-result', true);
      return readDigests(token.claims.member('submods'));
    },
  );
  check(checks, 'same-gpus', 'It speaks of exactly these GPUs', () => assertSameGpus(digests, tokens));

  const gpus: GpuClaims[] = [];
  for (const [id, text] of tokens)
    gpus.push(
      await check(checks, id, `${id} is attested`, async (inner) => {
        assertDigest(id, text, digests);
        const token = await verifyToken(text, { ...common, place: `gpuTokens.${id}`, checks: inner });
        assertNonce(token.claims, nonce);
        return readGpu(id, token, issuer);
      }),
    );
  return gpus;
}

function readAnswer(answer: Uint8Array | string): {
  readonly overall: string;
  readonly tokens: ReadonlyMap<string, string>;
} {
  const place = 'gpuTokens';
  assertAtMost(answer.length, bounds.signedJson, place);
  const json = JsonValue.parse(typeof answer === 'string' ? answer : textOf(answer, place), place, 'MALFORMED_TOKEN');
  const [overall, details, ...more] = json.items(2);
  if (overall === undefined || details === undefined || more.length > 0)
    throw json.fail('Expected the overall token and those of the GPUs');
  const [kind, token] = overall.items(2);
  if (kind === undefined || token === undefined) throw overall.fail('Expected "JWT" and the overall token');
  kind.oneOf(['JWT']);
  const tokens = new Map(details.entries(maxGpus).map(([id, value]) => [id, value.text(bounds.token)]));
  return { overall: token.text(bounds.token), tokens };
}

/** `{"GPU-0": ["DIGEST", ["SHA256", hex]]}`. */
function readDigests(submods: JsonValue): ReadonlyMap<string, string> {
  return new Map(
    submods.entries(maxGpus).map(([id, value]) => {
      const [kind, digest] = value.items(2);
      const [algorithm, hash] = digest?.items(2) ?? [];
      if (kind === undefined || algorithm === undefined || hash === undefined)
        throw value.fail('Expected "DIGEST", an algorithm and a digest');
      kind.oneOf(['DIGEST']);
      algorithm.oneOf(['SHA256', 'SHA-256']);
      return [id, hexOf(hash.bytes(32))];
    }),
  );
}

function assertSameGpus(digests: ReadonlyMap<string, string>, tokens: ReadonlyMap<string, string>): void {
  const missing =
    [...digests.keys()].find((id) => !tokens.has(id)) ?? [...tokens.keys()].find((id) => !digests.has(id));
  if (missing === undefined && digests.size > 0) return;
  throw new AttestationError({
    code: 'GPU_NOT_ATTESTED',
    place: 'gpuTokens.overall.payload.submods',
    value: missing,
    message: `Expected the overall token and those of the GPUs to name the same, got "${missing ?? 'none'}" in one only`,
  });
}

function assertDigest(id: string, token: string, digests: ReadonlyMap<string, string>): void {
  const digest = hexOf(sha256(utf8(token)));
  if (digest === digests.get(id)) return;
  throw new AttestationError({
    code: 'GPU_NOT_ATTESTED',
    place: `gpuTokens.${id}`,
    value: digest,
    message: `Expected the token of "${id}" that the overall token names, got one with digest "${digest}"`,
  });
}

function assertNonce(claims: JsonValue, expected: string): void {
  const member = claims.member('eat_nonce');
  const nonce = member.text(256);
  if (nonce.toLowerCase() === expected) return;
  throw new AttestationError({
    code: 'NONCE_MISMATCH',
    place: member.path,
    value: nonce,
    message: `Expected nonce "${expected}" at "${member.path}", got "${nonce}"`,
  });
}

/** What must be so of a GPU that hides what it computes. */
const gpuMustHave = {
  measres: 'success',
  secboot: true,
  dbgstat: 'disabled',
  'x-nvidia-gpu-arch-check': true,
  'x-nvidia-gpu-attestation-report-nonce-match': true,
  'x-nvidia-gpu-attestation-report-signature-verified': true,
} as const;

function readGpu(id: string, { claims, issuedAt, notAfter }: VerifiedToken, issuer: string): GpuClaims {
  for (const [name, value] of Object.entries(gpuMustHave)) assertClaim(claims, name, value);
  return {
    id,
    model: claims.member('hwmodel').text(128),
    driverVersion: claims.member('x-nvidia-gpu-driver-version').text(64),
    vbiosVersion: claims.member('x-nvidia-gpu-vbios-version').text(64),
    ueid: claims.member('ueid').text(128),
    nonce: claims.member('eat_nonce').text(256).toLowerCase(),
    issuer,
    issuedAt,
    notAfter,
  };
}

function assertClaim(claims: JsonValue, name: string, expected: string | boolean): void {
  const member = claims.member(name);
  if (member.raw === expected) return;
  const shown = typeof member.raw === 'object' ? 'something else' : String(member.raw).slice(0, 80);
  throw new AttestationError({
    code: 'GPU_NOT_ATTESTED',
    place: member.path,
    value: shown,
    message: `Expected "${expected}" at "${member.path}", got "${shown}"`,
  });
}

function textOf(bytes: Uint8Array, place: string): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new AttestationError({ code: 'MALFORMED_JSON', place, message: 'Expected the tokens in UTF-8', cause });
  }
}
