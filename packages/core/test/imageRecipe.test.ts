import { fromHex, sha256, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import {
  canonicalJson,
  dstackImageId,
  imageRecipeBytes,
  imageRecipeId,
  nitroImageId,
  parseImageRecipe,
  referencedImageId,
  sgxImageId,
  snpImageId,
  tdxImageId,
} from '../src/index.ts';
import { b32, imageRecipe } from './helpers.ts';

const word = (byte: number) => new Uint8Array(48).fill(byte);
const td = { mrtd: word(1), rtmr0: word(2), rtmr1: word(3), rtmr2: word(4) };
const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(canonicalJson(value as never));
const [first, ...others] = imageRecipe.references;

describe('an image recipe', () => {
  test('reads as it was written, and is named by its bytes', () => {
    const bytes = imageRecipeBytes(imageRecipe);
    expect(parseImageRecipe(bytes)).toEqual(imageRecipe);
    expect(imageRecipeId(imageRecipe)).toBe(toHex(sha256(bytes)));
  });

  test('gives the image id of each form', () => {
    expect(imageRecipe.references.map(referencedImageId)).toEqual([
      tdxImageId(td),
      tdxImageId({ ...td, rtmr0: word(5) }),
      dstackImageId(td, b32(0xc5)),
      snpImageId(word(6)),
      snpImageId(word(7)),
      sgxImageId(fromHex(b32(8))),
      nitroImageId(word(9), word(10), word(11)),
    ]);
  });

  test('has one form of bytes', () => {
    const text = new TextDecoder().decode(imageRecipeBytes(imageRecipe));
    const spaced = new TextEncoder().encode(text.replace('{', '{ '));
    expect(() => parseImageRecipe(spaced)).toThrow(expect.objectContaining({ code: 'JSON_NOT_CANONICAL' }));
  });

  test.each([
    ['another format', { ...imageRecipe, format: 'cloister-image-recipe-2' }],
    ['a field more', { ...imageRecipe, imageId: b32(1) }],
    ['a revision that is a branch', { ...imageRecipe, source: { ...imageRecipe.source, revision: 'main' } }],
    ['a revision that is cut', { ...imageRecipe, source: { ...imageRecipe.source, revision: 'c0'.repeat(19) } }],
    ['no source', { ...imageRecipe, source: { ...imageRecipe.source, uri: '' } }],
    ['a command of two lines', { ...imageRecipe, build: 'npm run image\nrm x' }],
    ['a command that ends in a space', { ...imageRecipe, build: 'npm run image ' }],
    ['a platform that is none', { ...imageRecipe, platform: 'linux' }],
    ['a version that is none', { ...imageRecipe, runtime: '24' }],
    ['no reference values', { ...imageRecipe, references: [] }],
    ['a form that nobody knows', { ...imageRecipe, references: [{ ...first, form: 'cca' }] }],
    ['a register too short', { ...imageRecipe, references: [{ ...first, mrtd: b32(1) }] }],
    ['a register missing', { ...imageRecipe, references: [{ ...first, rtmr2: undefined }] }],
    ['a compose hash where none belongs', { ...imageRecipe, references: [{ ...first, composeHash: b32(1) }] }],
    ['one image twice', { ...imageRecipe, references: [first, ...others, { ...first, form: 'tdx' }] }],
  ])('is refused with %s', (_, value) => {
    expect(() => parseImageRecipe(bytesOf(value))).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }));
  });

  test('of more than 64 references is refused', () => {
    const many = (count: number) => ({
      ...imageRecipe,
      references: Array.from({ length: count }, (_, index) => ({ form: 'sgx', mrEnclave: b32(index + 1) })),
    });
    expect(parseImageRecipe(bytesOf(many(64))).references).toHaveLength(64);
    expect(() => parseImageRecipe(bytesOf(many(65)))).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }));
  });
});
