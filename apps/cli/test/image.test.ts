import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageRegistryAbi } from '@cloister/chain';
import { type Bytes32, imageRecipeBytes, imageRecipeId, referencedImageId } from '@cloister/core';
import { decodeFunctionData } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { b32, imageRecipe } from '../../../packages/core/test/helpers.ts';
import type { SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { run, startNetwork } from './cliNetwork.ts';

let network: SimulatedNetwork;
let stop: () => Promise<void>;
let folder = '';
const at = (name: string) => join(folder, name);
const [simulated, td, dstack, , snp] = imageRecipe.references as never as [
  Reference<'simulated-tdx'>,
  Reference<'tdx'>,
  Reference<'dstack'>,
  unknown,
  Reference<'sev-snp'>,
];
type Reference<form> = (typeof imageRecipe.references)[number] & { readonly form: form };
const imageId = referencedImageId(simulated);
const recipeId = imageRecipeId(imageRecipe);
const withoutPrefix = (object: object) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, String(value).replace(/^0x/, '')]));

/** As `npm run image` writes it, with every form of TEE that it knows. */
const { form: _, ...registers } = simulated;
const { form: __, composeHash, ...dstackOs } = dstack;
const reference = {
  imageId,
  teeType: 'tdx',
  platform: 'linux-x64',
  ...registers,
  runtime: { version: '24.14.0', pinned: true },
  files: { dependencies: 1, code: 1 },
  dstack: { imageId: referencedImageId(dstack), composeHash, os: withoutPrefix(dstackOs) },
  snp: { imageId: referencedImageId(snp), measurement: snp.measurement },
  tdx: { ...td, imageId: referencedImageId(td) },
};
const json = async (...argv: string[]) => {
  const { out, error, exitCode } = await run('--json', ...argv);
  if (error !== undefined) throw error;
  return { ...JSON.parse(out), exitCode };
};
const refusalOf = async (...argv: string[]) => ((await run(...argv)).error as { code?: string } | undefined)?.code;
const write = (name: string, value: unknown) => writeFile(at(name), JSON.stringify(value));
const making = (name: string) => [
  ...['image', 'recipe', at(name), '--source', imageRecipe.source.uri],
  ...['--revision', imageRecipe.source.revision, '--build', imageRecipe.build, '--out', at('made.json')],
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-image-'));
  ({ network, stop } = await startNetwork());
  await write('network.json', network.file);
  await write('reference.json', reference);
  await writeFile(at('recipe.json'), imageRecipeBytes(imageRecipe));
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

describe('cloister image recipe', () => {
  test('makes a recipe that check takes, from what npm run image measured', async () => {
    const made = await json(...making('reference.json'));
    expect(made.images.map(({ form }: { form: string }) => form)).toEqual([
      'simulated-tdx',
      'tdx',
      'dstack',
      'sev-snp',
    ]);
    const checked = await json('image', 'check', at('made.json'), '--reference', at('reference.json'));
    expect(checked).toMatchObject({ ok: true, recipeId: made.recipeId, compared: true, refusals: [], exitCode: 0 });
    expect(JSON.parse(await readFile(at('made.json'), 'utf8'))).toMatchObject({
      runtime: '24.14.0',
      build: imageRecipe.build,
    });
  });

  test.each([
    ['of a Node.js of one’s own', { ...reference, runtime: { version: '24.14.0', pinned: false } }],
    ['whose id is another', { ...reference, imageId: b32(1) }],
    ['whose values are changed', { ...reference, rtmr2: reference.rtmr1 }],
    ['whose guest is another', { ...reference, snp: { ...reference.snp, imageId: b32(1) } }],
    ['whose registers are cut', { ...reference, mrtd: '0x01' }],
    ['without a platform', { ...reference, platform: undefined }],
    ['that is none', []],
    ['that is nothing', null],
  ])('refuses a reference %s', async (_, value) => {
    await write('bad.json', value);
    expect(await refusalOf(...making('bad.json'))).toBe('IMAGE_REFERENCE_INVALID');
  });

  test('refuses a branch for a revision', async () => {
    const argv = making('reference.json').map((word) => (word === imageRecipe.source.revision ? 'main' : word));
    expect(await refusalOf(...argv)).toBe('SCHEMA_MISMATCH');
  });
});

describe('cloister image check', () => {
  const check = (...argv: string[]) => json('image', 'check', at('recipe.json'), ...argv);

  test('says which images follow, and whether a given one does', async () => {
    const all = await check('--image', imageId, '--recipe-id', recipeId);
    expect(all).toMatchObject({ ok: true, recipeId, compared: false, exitCode: 0 });
    expect(all.images.map((image: { imageId: Bytes32 }) => image.imageId)).toEqual(
      imageRecipe.references.map(referencedImageId),
    );
    expect(await check('--image', b32(1))).toMatchObject({
      ok: false,
      exitCode: 1,
      refusals: [expect.stringContaining(b32(1))],
    });
    expect(await check('--recipe-id', b32(2))).toMatchObject({ ok: false, exitCode: 1 });
  });

  test('tells in what one’s own build differs', async () => {
    const other = { ...registers, rtmr2: registers.rtmr1 };
    const otherId = referencedImageId({ form: 'simulated-tdx', ...other });
    await write('other.json', { ...reference, ...other, imageId: otherId, platform: 'linux-arm64' });
    const { ok, refusals, exitCode } = await check('--reference', at('other.json'));
    expect([ok, exitCode]).toEqual([false, 1]);
    expect(refusals).toEqual([
      'platform is "linux-x64" in the recipe and "linux-arm64" in the build',
      `"simulated-tdx" is ${imageId} in the recipe and ${otherId} in the build`,
    ]);
    // A build that measures less is compared in what it has.
    await write('less.json', { ...reference, snp: undefined, tdx: undefined, dstack: undefined });
    expect(await check('--reference', at('less.json'))).toMatchObject({ ok: true, compared: true });
    await writeFile(
      at('sgx.json'),
      imageRecipeBytes({ ...imageRecipe, references: [{ form: 'sgx', mrEnclave: b32(8) }] }),
    );
    expect(await json('image', 'check', at('sgx.json'), '--reference', at('less.json'))).toMatchObject({
      ok: false,
      refusals: ['the build has none of the recipe’s forms'],
    });
  });
});

describe('cloister image on a network', () => {
  const options = () => ['--network', at('network.json')];
  const callsOf = async (...argv: string[]) => {
    const { out, error } = await run(...options(), 'image', ...argv, '--call-json');
    if (error !== undefined) throw error;
    const calls = JSON.parse(out) as { target: Bytes32; value: string; data: Bytes32 }[];
    return calls.map(({ target, value, data }) => {
      expect([target, value]).toEqual([network.file.contracts.imageRegistry, '0']);
      return decodeFunctionData({ abi: imageRegistryAbi, data });
    });
  };
  const allow = (...argv: string[]) =>
    callsOf('allow', at('recipe.json'), '--image', imageId, '--label', 'worker 2', ...argv);

  test('show has the window, the recipe and the guardian', async () => {
    expect(await json(...options(), 'image', 'show', imageId)).toMatchObject({
      ...{ allowed: false, notBefore: null, expiresAt: null, recipe: null, noticeSeconds: '0', guardian: null },
    });
    network.registries.images.add(imageId);
    network.registries.recipes.set(imageId, recipeId);
    const account = `0x${'ab'.repeat(20)}` as const;
    network.registries.imageRules = { notice: 5n, guardian: account, guardianUntil: 1_900_000_000n };
    expect(await json(...options(), 'image', 'show', imageId)).toMatchObject({
      ...{ allowed: true, notBefore: '0', expiresAt: `${2n ** 64n - 1n}`, recipe: recipeId, noticeSeconds: '5' },
      guardian: { account, until: '1900000000' },
    });
  });

  test('allow makes the calls of a proposal', async () => {
    network.registries.imageRules.notice = 0n;
    const recipe = { hash: recipeId, uri: 'https://git.example/recipe.json' };
    expect(await allow('--uri', recipe.uri)).toEqual([
      { functionName: 'allow', args: [imageId, 0n, 2n ** 64n - 1n, 'worker 2', recipe] },
    ]);
    const old = b32(0x0d);
    const window = ['--from', '1900000000', '--until', '1950000000'];
    expect(await allow(...window, '--replaces', old, '--overlap', '600')).toEqual([
      { functionName: 'allow', args: [imageId, 1_900_000_000n, 1_950_000_000n, 'worker 2', { ...recipe, uri: '' }] },
      { functionName: 'retire', args: [old, imageId, 600n] },
    ]);
  });

  test.each([
    [0n, 0n],
    [3_600n, 604_800n],
    [864_000n, 864_000n],
  ])('with a notice of %d s both images overlap for %d s unless said', async (notice, overlap) => {
    network.registries.imageRules.notice = notice;
    expect((await allow('--replaces', b32(0x0d)))[1]?.args).toEqual([b32(0x0d), imageId, overlap]);
  });

  test('an image that is not in the recipe is never proposed', async () => {
    const argv = ['image', 'allow', at('recipe.json'), '--image', b32(1), '--label', 'x', '--call-json'];
    expect(await refusalOf(...options(), ...argv)).toBe('IMAGE_NOT_IN_RECIPE');
    expect(await refusalOf(...options(), 'image', 'show', 'worker')).toBe('OPTION_VALUE_INVALID');
  });

  test('shorten makes a call too', async () => {
    expect(await callsOf('shorten', imageId)).toEqual([{ functionName: 'shorten', args: [imageId, 0n] }]);
    expect(await callsOf('shorten', imageId, '--until', '1900000000')).toEqual([
      { functionName: 'shorten', args: [imageId, 1_900_000_000n] },
    ]);
  });
});
