import { randomBytes, sha256, toHex } from '@cloister/crypto';
import { tagHash } from './abi.ts';
import { keyUseInfo } from './committee/keyPurposes.ts';
import { CloisterError } from './errors.ts';
import type { Bytes32 } from './hex.ts';
import * as z from './schema.ts';

/** An app's code as its manifest names it: by the bytes that are stored, and where these are sealed, by what is inside too. */
export type CodeReference = {
  /** Of the stored bytes: the code itself, or what only the app's hosts can open. */
  readonly sha256: Bytes32;
  readonly bytes: number;
  readonly sealed?: {
    /** {@link sealedCodeDigest} of what is inside. */
    readonly digest: Bytes32;
    /** The key version that it is sealed to. */
    readonly keyVersion: number;
  };
};

export const maxCodeBytes = 16 * 1024 * 1024;
/** U ‖ V ‖ tag of the sealed form. */
const sealOverhead = 96;
const saltBytes = 32;
const headerBytes = saltBytes + 4;
const maxPackedBytes = maxCodeBytes - sealOverhead;
/** Longest code that can be sealed: what is stored of it keeps within the bound of all code. */
export const maxSealedCodeBytes = maxPackedBytes - headerBytes;
const smallestStep = 4_096;

/** The `code` of a manifest: with or without `sealed`, and nothing else. */
export const codeReferenceJson = z.strictObject({
  sha256: z.bytes32,
  bytes: z.intBetween(1, maxCodeBytes),
  sealed: z.exactOptional(z.strictObject({ digest: z.bytes32, keyVersion: z.intBetween(1, 0xffff_ffff) })),
});

/** What is sealed: salt (32 bytes) ‖ length of the code (4, big-endian) ‖ code ‖ zeros up to {@link packedCodeLength}. */
export type PackedCode = { readonly salt: Bytes32; readonly packed: Uint8Array };

/**
 * Code with a fresh salt, ready to be sealed. The padding hides its length, which would tell a public program as its hash does. Throws
 * CODE_TOO_LARGE_TO_SEAL.
 */
export function packCode(code: Uint8Array): PackedCode {
  if (code.length > maxSealedCodeBytes)
    throw new SealedCodeError(
      'CODE_TOO_LARGE_TO_SEAL',
      `Code of ${code.length} bytes can't be sealed, at most ${maxSealedCodeBytes} can`,
    );
  const salt = randomBytes(saltBytes);
  const packed = new Uint8Array(packedCodeLength(code.length));
  packed.set(salt);
  new DataView(packed.buffer).setUint32(saltBytes, code.length);
  packed.set(code, headerBytes);
  return { salt: toHex(salt), packed };
}

/** Reads what was sealed, in its one form. Throws CODE_MALFORMED. */
export function unpackCode(packed: Uint8Array): { readonly salt: Bytes32; readonly code: Uint8Array } {
  if (packed.length < headerBytes || packed.length > maxPackedBytes)
    throw malformed(`it has ${packed.length} bytes, ${headerBytes} to ${maxPackedBytes} are possible`);
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(saltBytes);
  const end = headerBytes + length;
  if (length > maxSealedCodeBytes || packed.length !== packedCodeLength(length))
    throw malformed(`it has ${packed.length} bytes, and states code of ${length}`);
  if (packed.subarray(end).some((byte) => byte !== 0)) throw malformed('its padding is not zero');
  return { salt: toHex(packed.subarray(0, saltBytes)), code: packed.slice(headerBytes, end) };
}

/**
 * The length of what is sealed: the next multiple of 4,096 bytes, above 128 KiB Padmé (Nikitin et al., 2019), which adds at most 12 %; never
 * more than can be stored.
 */
function packedCodeLength(codeLength: number): number {
  const length = headerBytes + codeLength;
  const exponent = Math.floor(Math.log2(length));
  const step = Math.max(smallestStep, 2 ** (exponent - (Math.floor(Math.log2(exponent)) + 1)));
  return Math.min(Math.ceil(length / step) * step, maxPackedBytes);
}

/**
 * H("cloister/sealed-code: v1", salt, sha256(code)): what the manifest says of sealed code. Whoever lacks the salt can't try public
 * programs against it.
 */
export function sealedCodeDigest(salt: Bytes32, codeSha256: Bytes32): Bytes32 {
  return tagHash('cloister/sealed-code: v1', salt, codeSha256);
}

/** The associated data under which an app's code is sealed to its identity of class secrets: as code, of this name. */
export function sealedCodeAad(name: string): Uint8Array {
  return keyUseInfo({ purpose: 'sealed-code', name, version: 1 });
}

/** Whether code is what a manifest says of it, by the salt that lay with it where it was sealed. */
export function isCodeOf(reference: CodeReference, code: Uint8Array, salt: Bytes32 | undefined): boolean {
  const hash = toHex(sha256(code));
  if (reference.sealed === undefined) return reference.sha256 === hash && reference.bytes === code.length;
  return salt !== undefined && reference.sealed.digest === sealedCodeDigest(salt, hash);
}

function malformed(why: string): SealedCodeError {
  return new SealedCodeError('CODE_MALFORMED', `What was sealed is no code: ${why}`);
}

export type SealedCodeErrorCode = 'CODE_TOO_LARGE_TO_SEAL' | 'CODE_MALFORMED';

export class SealedCodeError extends CloisterError<SealedCodeErrorCode> {
  override readonly name = 'SealedCodeError';
  constructor(code: SealedCodeErrorCode, message: string) {
    super({ code, message });
  }
}
