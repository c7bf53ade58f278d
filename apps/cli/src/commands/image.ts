import { readFile, writeFile } from 'node:fs/promises';
import {
  allowCall,
  ChainAccount,
  type GovernedCall,
  ImageRegistryReader,
  imageRegistryAbi,
  retireImageCall,
  shortenImageCall,
} from '@cloister/chain';
import {
  type Bytes32,
  CloisterError,
  type ImageRecipe,
  imageRecipeBytes,
  imageRecipeId,
  parseImageRecipe,
  referencedImageId,
} from '@cloister/core';
import type { CloisterClient } from '@cloister/sdk';
import type { Command } from 'commander';
import { type MeasuredBuild, readReferences } from '../imageReferences.ts';
import { idValue, wholeNumber } from '../optionValues.ts';
import { note, print } from '../output.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';

type Json = { readonly json?: boolean };
type Registry = NetworkOptions & Json & { readonly gatekeepers?: boolean };

export function imageCommands(program: Command): void {
  const group = program.command('image').description('images that a network allows: recipes, and calls for proposals');
  recipeCommand(group);
  checkCommand(group);
  showCommand(group);
  allowCommand(group);
  shortenCommand(group);
}

function recipeCommand(group: Command): void {
  group
    .command('recipe')
    .description('the recipe of an image: where its source is, how it is built, what hardware then measures')
    .argument('<reference>', 'the reference.json that "npm run image" wrote')
    .requiredOption('--source <uri>', 'where the sources can be had')
    .requiredOption('--revision <commit>', 'the commit, whole and in hexadecimal')
    .option('--build <command>', 'what makes the image in the sources’ folder', 'npm run image')
    .requiredOption('--out <file>', 'where the recipe goes')
    .action(async (reference: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<
        Json & { readonly source: string; readonly revision: string; readonly build: string; readonly out: string }
      >();
      const built = readReferences(await readFile(reference), reference);
      const recipe: ImageRecipe = {
        format: 'cloister-image-recipe-1',
        source: { uri: options.source, revision: options.revision.toLowerCase() },
        build: options.build,
        ...built,
      };
      const bytes = imageRecipeBytes(recipe);
      parseImageRecipe(bytes);
      await writeFile(options.out, bytes);
      print(options, { file: options.out, ...described(recipe) }, () =>
        [`Recipe ${imageRecipeId(recipe)} in ${options.out}`, ...imageLines(recipe)].join('\n'),
      );
    });
}

function checkCommand(group: Command): void {
  group
    .command('check')
    .description('whether a recipe is whole, leads to an image, and to what you built from it yourself')
    .argument('<recipe>', 'the recipe’s file')
    .option('--image <id>', 'an image id that must follow from it')
    .option('--reference <file>', 'the reference.json of your own build: its values must be the recipe’s')
    .option('--recipe-id <id>', 'what the chain or a proposal says that the recipe is')
    .addHelpText('after', '\nExit code: 0 only if all that was asked for holds.')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<
        Json & { readonly image?: string; readonly reference?: string; readonly recipeId?: string }
      >();
      const recipe = parseImageRecipe(await readFile(file));
      const { reference } = options;
      const built = reference === undefined ? undefined : readReferences(await readFile(reference), reference);
      const wanted = options.image === undefined ? undefined : idValue('--image', options.image);
      const id = options.recipeId === undefined ? undefined : idValue('--recipe-id', options.recipeId);
      const refusals = [
        ...(id === undefined || id === imageRecipeId(recipe) ? [] : [`the recipe is another one than ${id}`]),
        ...(wanted === undefined || idsOf(recipe).includes(wanted) ? [] : [`no value in it leads to ${wanted}`]),
        ...(built === undefined ? [] : differences(recipe, built)),
      ];
      const ok = refusals.length === 0;
      print(options, { ok, ...described(recipe), compared: built !== undefined, refusals }, () =>
        [
          `Recipe ${imageRecipeId(recipe)}`,
          `  source  ${recipe.source.uri} at ${recipe.source.revision}`,
          `  build   ${recipe.build}  (${recipe.platform}, Node.js ${recipe.runtime})`,
          ...imageLines(recipe),
          ...refusals.map((refusal) => `✗ ${refusal}`),
          ...(ok
            ? [
                built === undefined
                  ? 'Whole; compare it with your own build by --reference'
                  : '✓ Your build gives the same',
              ]
            : []),
        ].join('\n'),
      );
      process.exitCode = ok ? 0 : 1;
    });
}

function showCommand(group: Command): void {
  group
    .command('show')
    .description('since when and until when an image is allowed, by which recipe, and who may shorten that')
    .argument('<image>', 'image id')
    .option('--gatekeepers', 'in the registry of gatekeepers’ images, not of workers’')
    .action(async (image: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Registry>();
      const imageId = idValue('image', image);
      const registry = await openRegistry(await openClient(options), options);
      const [{ allowed, window, recipe }, { noticeSeconds, guardian }] = await Promise.all([
        registry.image(imageId),
        registry.rules(),
      ]);
      const state = { notBefore: window?.notBefore ?? null, expiresAt: window?.expiresAt ?? null };
      const shown = { imageId, registry: registry.address, allowed, ...state, recipe: recipe ?? null };
      print(options, { ...shown, noticeSeconds, guardian: guardian ?? null }, () =>
        [
          window === undefined
            ? 'Not allowed'
            : `${allowed ? 'Allowed' : 'Not allowed now'}: from ${dateText(window.notBefore)} until ${dateText(window.expiresAt)}`,
          `  recipe    ${recipe ?? 'none'}`,
          `  notice    ${noticeSeconds} s for a new image`,
          `  guardian  ${guardian === undefined ? 'nobody' : `${guardian.account}, until ${dateText(guardian.until)}`}`,
        ].join('\n'),
      );
    });
}

function allowCommand(group: Command): void {
  group
    .command('allow')
    .description('the calls of a proposal that allows an image by its recipe, and lets it take another’s place')
    .argument('<recipe>', 'the recipe’s file')
    .requiredOption('--image <id>', 'which of its images')
    .requiredOption('--label <text>', 'for people, 1 to 64 bytes')
    .option('--uri <uri>', 'where the recipe can be had', '')
    .option('--from <unix>', 'not before (default: as soon as the network’s notice lets it)')
    .option('--until <unix>', 'until then (default: without an end)')
    .option('--replaces <id>', 'the image whose place it takes')
    .option(
      '--overlap <seconds>',
      'how long both are allowed (default: the network’s notice, at least 7 days where it gives one)',
    )
    .option('--gatekeepers', 'for gatekeepers, not for workers')
    .option('--call-json', 'the calls alone, as a proposal takes them')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<AllowOptions>();
      const recipe = parseImageRecipe(await readFile(file));
      const imageId = idValue('--image', options.image);
      if (!idsOf(recipe).includes(imageId)) throw new ImageNotInRecipeError(imageId, file);
      const registry = await openRegistry(await openClient(options), options);
      const { noticeSeconds } = await registry.rules();
      const calls = [
        allowCall(registry.address, {
          imageId,
          label: options.label,
          recipe: { hash: imageRecipeId(recipe), uri: options.uri },
          ...(options.from === undefined ? {} : { notBefore: BigInt(wholeNumber('--from', options.from)) }),
          ...(options.until === undefined ? {} : { expiresAt: BigInt(wholeNumber('--until', options.until)) }),
        }),
        ...(options.replaces === undefined
          ? []
          : [
              retireImageCall(
                registry.address,
                idValue('--replaces', options.replaces),
                imageId,
                overlapOf(options.overlap, noticeSeconds),
              ),
            ]),
      ];
      printCalls(options, calls, `Allow ${options.label} (${imageId}), recipe ${imageRecipeId(recipe)}`);
    });
}

type AllowOptions = Registry & {
  readonly image: string;
  readonly label: string;
  readonly uri: string;
  readonly from?: string;
  readonly until?: string;
  readonly replaces?: string;
  readonly overlap?: string;
  readonly callJson?: boolean;
};

function shortenCommand(group: Command): void {
  group
    .command('shorten')
    .description('end an image earlier than it would: as the registry’s guardian, or as the call of a proposal')
    .argument('<image>', 'image id')
    .option('--until <unix>', 'when it ends (default: now)', '0')
    .option('--gatekeepers', 'in the registry of gatekeepers’ images, not of workers’')
    .option('--call-json', 'the call alone, as a proposal takes it; nothing is sent')
    .action(async (image: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Registry & { readonly until: string; readonly callJson?: boolean }>();
      const imageId = idValue('image', image);
      const until = BigInt(wholeNumber('--until', options.until));
      const client = await openClient(options);
      const registry = await openRegistry(client, options);
      if (options.callJson) {
        printCalls(options, [shortenImageCall(registry.address, imageId, until)], '');
        return;
      }
      const [rpc = ''] = client.network.rpcs;
      const account = new ChainAccount({ chainId: client.network.chainId, rpc, account: await openAccount(options) });
      await account.write({
        address: registry.address,
        abi: imageRegistryAbi,
        functionName: 'shorten',
        args: [imageId, until],
      });
      const { window } = await registry.image(imageId);
      print(options, { imageId, registry: registry.address, expiresAt: window?.expiresAt ?? null }, () =>
        window === undefined ? `${imageId} is not allowed` : `${imageId} ends ${dateText(window.expiresAt)}`,
      );
      if (!options.json) note('Running leases end when anybody evicts their workers: "cloister evict".');
    });
}

function openRegistry(
  { network, registry: { view } }: CloisterClient,
  options: Registry,
): Promise<ImageRegistryReader> {
  return options.gatekeepers
    ? ImageRegistryReader.ofGatekeepers(view, network.contracts)
    : Promise.resolve(new ImageRegistryReader(view, network.contracts.imageRegistry));
}

/** Operators can't all move in an hour; a network without notice is one machine's. */
function overlapOf(text: string | undefined, noticeSeconds: bigint): bigint {
  if (text !== undefined) return BigInt(wholeNumber('--overlap', text));
  const week = 7n * 86_400n;
  return noticeSeconds > 0n && noticeSeconds < week ? week : noticeSeconds;
}

/** The shape that a proposal takes, with --call-json alone on the line. */
function printCalls(
  options: Json & { readonly callJson?: boolean },
  calls: readonly GovernedCall[],
  what: string,
): void {
  const shaped = calls.map(({ target, data }) => ({ target, value: '0', data }));
  if (options.callJson) print({ json: true }, shaped, () => '');
  else
    print(options, { calls: shaped }, () =>
      [what, ...shaped.map(({ target, data }) => `  ${target} ${data}`)].join('\n'),
    );
}

function idsOf({ references }: ImageRecipe): readonly Bytes32[] {
  return references.map(referencedImageId);
}

/** What of a build of one's own is not what the recipe says. A build that measures fewer forms is compared in those that it has. */
function differences(recipe: ImageRecipe, built: MeasuredBuild): string[] {
  const ids = new Map(recipe.references.map((reference) => [reference.form, referencedImageId(reference)]));
  const same = built.references.filter((reference) => idsOf(recipe).includes(referencedImageId(reference)));
  return [
    ...(['platform', 'runtime'] as const)
      .filter((field) => recipe[field] !== built[field])
      .map((field) => `${field} is "${recipe[field]}" in the recipe and "${built[field]}" in the build`),
    ...built.references
      .filter((reference) => !same.includes(reference) && ids.has(reference.form))
      .map(
        (reference) =>
          `"${reference.form}" is ${ids.get(reference.form)} in the recipe and ${referencedImageId(reference)} in the build`,
      ),
    ...(built.references.some(({ form }) => ids.has(form)) ? [] : ['the build has none of the recipe’s forms']),
  ];
}

function described(recipe: ImageRecipe) {
  const images = recipe.references.map((reference) => ({
    form: reference.form,
    imageId: referencedImageId(reference),
  }));
  return { recipeId: imageRecipeId(recipe), images };
}

function imageLines(recipe: ImageRecipe): string[] {
  return described(recipe).images.map(({ form, imageId }) => `  ${form.padEnd(18)} ${imageId}`);
}

/** Unix seconds for people. */
function dateText(seconds: bigint): string {
  return seconds > 253_402_300_799n ? 'no end' : new Date(Number(seconds) * 1000).toISOString();
}

export class ImageNotInRecipeError extends CloisterError<'IMAGE_NOT_IN_RECIPE'> {
  override readonly name = 'ImageNotInRecipeError';
  constructor(imageId: Bytes32, file: string) {
    super({
      code: 'IMAGE_NOT_IN_RECIPE',
      message: `Expected an image that follows from "${file}", got "${imageId}"`,
      hint: '"cloister image check" prints those that do',
    });
  }
}
