import {
  type Bytes32,
  CloisterError,
  type Hex,
  type ImageReferenceValues,
  parseBoundedJson,
  referencedImageId,
} from '@cloister/core';

/** What a recipe takes from the `reference.json` that `npm run image` writes. */
export type MeasuredBuild = {
  readonly platform: string;
  readonly runtime: string;
  readonly references: readonly ImageReferenceValues[];
};

const maxReferenceBytes = 1024 * 1024;

/**
 * Reads the file, and computes each image id in it again from the values beside it. Throws IMAGE_REFERENCE_INVALID; JsonError.
 */
export function readReferences(bytes: Uint8Array, file: string): MeasuredBuild {
  const json = parseBoundedJson(bytes, maxReferenceBytes, `"${file}"`) as Record<string, never> | null;
  const refuse = (problem: string, hint?: string) => new ImageReferenceError(file, problem, hint);
  if (typeof json !== 'object' || json === null) throw refuse('no object');
  const { platform, runtime, dstack, snp, tdx } = json as {
    readonly platform?: string;
    readonly runtime?: { readonly version: string; readonly pinned: boolean };
    readonly dstack?: {
      readonly imageId: Bytes32 | null;
      readonly composeHash: Bytes32;
      readonly os: Registers | null;
    };
    readonly snp?: { readonly imageId: Bytes32; readonly measurement: string };
    readonly tdx?: ({ readonly imageId: Bytes32 | null } & Registers) | undefined;
  };
  if (typeof platform !== 'string' || typeof runtime?.version !== 'string') throw refuse('no platform and runtime');
  if (runtime.pinned !== true)
    throw refuse(
      'it was made with another Node.js than the pinned one',
      'Nobody else gets these values: use npm run image',
    );
  const references: ImageReferenceValues[] = [];
  const take = (reference: ImageReferenceValues, imageId: Bytes32) => {
    let found: Bytes32 | undefined;
    try {
      found = referencedImageId(reference);
    } catch {
      // Below.
    }
    if (found !== imageId) throw refuse(`its values of "${reference.form}" do not lead to the image "${imageId}"`);
    references.push(reference);
  };
  take({ form: 'simulated-tdx', ...registersOf(json) }, json.imageId ?? '0x');
  if (tdx?.imageId) take({ form: 'tdx', ...registersOf(tdx) }, tdx.imageId);
  if (dstack?.imageId)
    take({ form: 'dstack', ...registersOf(dstack.os ?? {}), composeHash: dstack.composeHash }, dstack.imageId);
  if (snp !== undefined) take({ form: 'sev-snp', measurement: prefixed(snp.measurement) }, snp.imageId);
  return { platform, runtime: runtime.version, references };
}

type Registers = { readonly mrtd?: string; readonly rtmr0?: string; readonly rtmr1?: string; readonly rtmr2?: string };

function registersOf({ mrtd, rtmr0, rtmr1, rtmr2 }: Registers) {
  return { mrtd: prefixed(mrtd), rtmr0: prefixed(rtmr0), rtmr1: prefixed(rtmr1), rtmr2: prefixed(rtmr2) };
}

/** Registers of dstack's tools come without 0x. */
function prefixed(value: string | undefined): Hex {
  const text = String(value).toLowerCase();
  return text.startsWith('0x') ? (text as Hex) : `0x${text}`;
}

export class ImageReferenceError extends CloisterError<'IMAGE_REFERENCE_INVALID'> {
  override readonly name = 'ImageReferenceError';
  constructor(file: string, problem: string, hint = 'Give the reference.json that "npm run image" wrote') {
    super({
      code: 'IMAGE_REFERENCE_INVALID',
      message: `Expected the reference values of an image in "${file}": ${problem}`,
      hint,
    });
  }
}
