import { fromHex, sha256, toHex } from '@cloister/crypto';
import type { Bytes32, Hex } from './hex.ts';
import { dstackImageId, nitroImageId, sgxImageId, snpImageId, tdxImageId } from './image.ts';
import { canonicalJson, type Json, parseCanonicalJson } from './jcs.ts';
import * as z from './schema.ts';

/** How anybody makes an image again, and what hardware then measures: what governance reads before it allows the image. */
export type ImageRecipe = {
  readonly format: 'cloister-image-recipe-1';
  readonly source: {
    /** Where the sources can be had, such as a git repository's URL. */
    readonly uri: string;
    /** The commit, 20 or 32 bytes in hexadecimal without 0x. */
    readonly revision: string;
  };
  /** The command that makes it, in the sources' folder. */
  readonly build: string;
  /** What it is made on, such as `linux-x64`. */
  readonly platform: string;
  /** The Node.js version in it. */
  readonly runtime: string;
  readonly references: readonly ImageReferenceValues[];
};

/** Reference values of one form of TEE; the image's id follows from them. Registers and measurements have 48 bytes unless said. */
export type ImageReferenceValues =
  | ({ readonly form: 'simulated-tdx' | 'tdx' } & TdRegisters)
  /** SHA-256 of the app-compose.json, 32 bytes; the registers are dstack's own. */
  | ({ readonly form: 'dstack'; readonly composeHash: Bytes32 } & TdRegisters)
  | { readonly form: 'simulated-sev-snp' | 'sev-snp'; readonly measurement: Hex }
  /** 32 bytes. */
  | { readonly form: 'sgx'; readonly mrEnclave: Bytes32 }
  | { readonly form: 'nitro'; readonly pcr0: Hex; readonly pcr1: Hex; readonly pcr2: Hex };

type TdRegisters = { readonly mrtd: Hex; readonly rtmr0: Hex; readonly rtmr1: Hex; readonly rtmr2: Hex };

export const maxImageRecipeBytes = 64 * 1024;
export const maxImageReferences = 64;

const measured = z.hexOf(48);
const registers = { mrtd: measured, rtmr0: measured, rtmr1: measured, rtmr2: measured };
const line = (max: number) => z.pattern(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, max);

const imageRecipeJson = z.strictObject({
  format: z.literal('cloister-image-recipe-1'),
  source: z.strictObject({ uri: line(512), revision: z.pattern(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/) }),
  build: line(1024),
  platform: z.pattern(/^[a-z0-9]+-[a-z0-9]+$/, 64),
  runtime: z.pattern(/^[0-9]+\.[0-9]+\.[0-9]+$/, 32),
  references: z
    .array(
      z.discriminatedUnion('form', [
        z.strictObject({ form: z.literal('simulated-tdx'), ...registers }),
        z.strictObject({ form: z.literal('tdx'), ...registers }),
        z.strictObject({ form: z.literal('dstack'), ...registers, composeHash: z.bytes32 }),
        z.strictObject({ form: z.literal('simulated-sev-snp'), measurement: measured }),
        z.strictObject({ form: z.literal('sev-snp'), measurement: measured }),
        z.strictObject({ form: z.literal('sgx'), mrEnclave: z.bytes32 }),
        z.strictObject({ form: z.literal('nitro'), pcr0: measured, pcr1: measured, pcr2: measured }),
      ]),
    )
    .check(z.refineArray(1, maxImageReferences)),
});

/** The bytes that are published: canonical JSON. */
export function imageRecipeBytes(recipe: ImageRecipe): Uint8Array {
  return new TextEncoder().encode(canonicalJson(recipe as unknown as Json));
}

/** What the `ImageRegistry` binds an image to: sha256 of the bytes. */
export function imageRecipeId(recipe: ImageRecipe): Bytes32 {
  return toHex(sha256(imageRecipeBytes(recipe)));
}

/** Reads a recipe in its canonical form. Throws JsonError, SchemaError; also where two references give one image. */
export function parseImageRecipe(bytes: Uint8Array): ImageRecipe {
  const json = parseCanonicalJson(bytes, maxImageRecipeBytes, 'an image recipe');
  const recipe = z.parseWith(imageRecipeJson, json, 'image recipe') as ImageRecipe;
  recipe.references.forEach((reference, index) => {
    const id = referencedImageId(reference);
    // One of another form with the same values would say of hardware what only a simulated TEE measures, or the other way round.
    if (recipe.references.slice(0, index).some((earlier) => referencedImageId(earlier) === id))
      throw new z.SchemaError('image recipe', `$.references.${index}`, 'another reference gives the same image id');
  });
  return recipe;
}

/** The image id that reference values lead to. */
export function referencedImageId(reference: ImageReferenceValues): Bytes32 {
  switch (reference.form) {
    case 'simulated-tdx':
    case 'tdx':
      return tdxImageId(registersOf(reference));
    case 'dstack':
      return dstackImageId(registersOf(reference), reference.composeHash);
    case 'simulated-sev-snp':
    case 'sev-snp':
      return snpImageId(fromHex(reference.measurement));
    case 'sgx':
      return sgxImageId(fromHex(reference.mrEnclave));
    case 'nitro':
      return nitroImageId(fromHex(reference.pcr0), fromHex(reference.pcr1), fromHex(reference.pcr2));
  }
}

function registersOf({ mrtd, rtmr0, rtmr1, rtmr2 }: TdRegisters) {
  return { mrtd: fromHex(mrtd), rtmr0: fromHex(rtmr0), rtmr1: fromHex(rtmr1), rtmr2: fromHex(rtmr2) };
}
