import {
  asBytes32,
  deterministicFunction,
  freePrice,
  type Manifest,
  manifestOfKind,
  type Price,
  type RunnableKind,
  type WholeFields,
  wholeFields,
} from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import { checkModule } from '@cloister/sandbox';
import type { PlannedDeployment } from '@cloister/sdk';
import type { Command } from 'commander';
import { addressValue, namedValues, OptionValueError, phaAmount, wholeNumber } from '../optionValues.ts';
import { note, print } from '../output.ts';
import { openProject } from '../project.ts';
import { kindOfCode, type ReadCode, readCode } from '../readCode.ts';
import { readSecretValues, type SecretOptions } from '../secretValues.ts';
import { openAccount, openClient } from '../settings.ts';

type Options = SecretOptions & {
  sealCode?: boolean;
  pinImage?: string[];
  owner?: string;
  calldata?: boolean;
  name?: string;
  env?: string[];
  outbound?: string[];
  state?: string;
  replicas?: string;
  memoryMb?: string;
  wallMs?: string;
  inputMb?: string;
  image?: string[];
  contextTokens?: string;
  maxTokens?: string;
  fuel?: string;
  deterministic?: boolean;
  notice?: string;
  storageEpochs?: string;
  pricePerCall?: string;
  pricePerCpuMs?: string;
  pricePerInputToken?: string;
  pricePerOutputToken?: string;
  manifest?: string;
  network?: string;
  key?: string;
  json?: boolean;
};

export function deployCommand(program: Command): void {
  program
    .command('deploy')
    .description(
      'deploy a function (.ts or .js, bundled), a WebAssembly module (.wasm), a model (.gguf, .onnx), containers (compose .yaml), or what the cloister.json of a folder says; the same name again publishes a new version',
    )
    .argument(
      '[file]',
      'the file with: export default { async fetch(request, env, ctx) { … } }, a module of WASI preview 1, the weights of a model, or a compose file; or a folder with a cloister.json, whose fields options override',
      '.',
    )
    .option('--name <name>', 'the app name (default: from the name of the file or folder)')
    .option('--env <NAME=value...>', 'public constants that the code sees in env')
    .option('--secret <NAME=value...>', 'values that only its hosts see in env; shown in the list of processes')
    .option('--secrets-file <file>', 'JSON object with such values')
    .option(
      '--seal-code',
      'code that only its hosts can read; prints the salt by which you can check a source against it',
    )
    .option(
      '--pin-image <id...>',
      'worker images that may get its keys (default, with secrets or sealed code: those of the workers verified now)',
    )
    .option('--owner <address>', 'the contract that owns the app: a timelock for apps (cloister timelock), a Safe')
    .option('--calldata', 'with --owner: print the calls that its owner has to send, and send nothing')
    .option(
      '--outbound <place...>',
      'hosts that the code may reach; app:ID for apps that it may call, chain:read for the chain',
    )
    .option('--state <partitions>', 'partitions of the state that it keeps (default: none)')
    .option('--replicas <n>', 'how many workers hold it')
    .option('--memory-mb <n>', 'memory limit')
    .option('--wall-ms <n>', 'time limit of one call')
    .option('--input-mb <n>', 'how much a streamed body may have (default: 8)')
    .option(
      '--fuel <n>',
      'of a module or a deterministic function: instructions that one call may execute; they are counted, and receipts say how many',
    )
    .option(
      '--deterministic',
      'of a function, or of a module with --fuel: no clock, nothing random, so that every host answers the same',
    )
    .option(
      '--image <NAME=file...>',
      'of a compose file: the archive of each image, as docker save or podman save makes it',
    )
    .option('--context-tokens <n>', 'of a model: tokens of prompt and answer together (default: 4096)')
    .option('--max-tokens <n>', 'of a model: tokens of an answer (default: 1024)')
    .option('--notice <seconds>', 'notice before later versions serve')
    .option('--price-per-call <pha>', 'what its hosts are paid for a call (default: calls are free)')
    .option('--price-per-cpu-ms <pha>', 'and for each millisecond of the processor')
    .option('--price-per-input-token <pha>', 'of a model: and for each token that it reads')
    .option('--price-per-output-token <pha>', 'of a model: and for each token that it writes')
    .option('--storage-epochs <n>', 'where gateways store nothing for free: pay them for so many epochs')
    .option('--manifest <file>', 'another cloister.json: in place of the one in the folder, or beside a file')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const [client, account] = await Promise.all([openClient(options), openAccount(options)]);
      const project = await openProject(file, options.manifest);
      const sealCode = options.sealCode ?? project.fields.sealCode ?? false;
      if (sealCode && (await kindOfCode(project.main)) === 'container')
        throw new OptionValueError('--seal-code', project.main, 'left out: images are stored as they are');
      const storeWeights = (bytes: AsyncIterable<Uint8Array>) =>
        sealCode ? client.storeSealedWeights(bytes) : client.storeWeights(bytes);
      const bundle = await readCode({ storeWeights }, project.main, options.image);
      const secrets = await readSecretValues({
        ...options,
        ...(options.secretsFile === undefined && project.secretsFile && { secretsFile: project.secretsFile }),
      });
      const pinImages = options.pinImage?.map((id) => asBytes32(id, '--pin-image'));
      const deterministic = options.deterministic && bundle.kind === 'function' ? deterministicFunction : {};
      const stated = wholeFields(project.fields, bundle.kind, { ...bundle.manifest, ...deterministic });
      const manifest = { ...stated, ...manifestFields(options, stated) };
      const storageEpochs =
        options.storageEpochs === undefined
          ? project.fields.storageEpochs
          : wholeNumber('--storage-epochs', options.storageEpochs);
      if (bundle.kind === 'wasm') assertModuleRuns(bundle, manifest);
      if (options.owner !== undefined) {
        const planned = await client.deployFor({
          owner: addressValue('--owner', options.owner),
          kind: bundle.kind,
          code: bundle.code,
          name: options.name ?? project.name ?? bundle.name,
          ...(sealCode && { sealCode }),
          ...(pinImages && { pinImages }),
          manifest: { ...manifest, ...(secrets && { secrets: Object.keys(secrets) }) },
          ...(options.calldata ? {} : { account }),
        });
        printPlan(options, planned);
        return;
      }
      if (options.calldata) throw new OptionValueError('--calldata', '', 'given with --owner');
      const deployed = await client.deploy({
        account,
        kind: bundle.kind,
        code: bundle.code,
        name: options.name ?? project.name ?? bundle.name,
        ...(secrets && { secrets }),
        ...(sealCode && { sealCode }),
        ...(pinImages && { pinImages }),
        ...(storageEpochs !== undefined && { storageEpochs }),
        manifest,
      });
      const { app, owner, manifestId, version, effectiveAt, published, codeSalt, secretsId, pinned } = deployed;
      print(
        options,
        {
          app,
          kind: deployed.manifest.kind,
          name: deployed.manifest.name,
          owner,
          manifestId,
          version,
          effectiveAt,
          published,
          inputs: bundle.inputs,
          codeSalt: codeSalt ?? null,
          secrets: deployed.manifest.secrets,
          secretsId: secretsId ?? null,
          pinned,
        },
        () =>
          [
            `${published ? 'Deployed' : 'Already deployed'}: ${deployed.manifest.name}, version ${version}`,
            `  app       ${app}`,
            `  manifest  ${manifestId}`,
            `  ${codeWords[bundle.kind] ?? 'code   '}   ${bundle.bytes} bytes from ${bundle.inputs.join(', ')}${codeSalt === undefined ? '' : ', sealed to its hosts'}`,
            ...(codeSalt === undefined
              ? []
              : [`  salt      ${codeSalt}: keep it; with it a source can be checked (cloister verify --source)`]),
            ...(deployed.manifest.secrets.length === 0
              ? []
              : [
                  `  secrets   ${deployed.manifest.secrets.join(', ')}: for its hosts alone (cloister hosts ${deployed.manifest.name})`,
                ]),
            ...pinned.map((image) => `  image     ${image} may get its keys`),
          ].join('\n'),
      );
      if (!options.json)
        note(`\nCall it: cloister call ${deployed.manifest.name} ${bundle.kind === 'model' ? '/v1/models' : '/'}`);
    });
}

/** What became of a version of a contract's app, or what its owner has to send. */
function printPlan(options: Options, planned: PlannedDeployment & { readonly sent: boolean }): void {
  const { app, owner, sender, manifestId, manifest, timelock, calls, sent, codeSalt } = planned;
  const shaped = calls.map(({ to, value, data }) => ({ to, value: value.toString(), data }));
  const shown = {
    app,
    kind: manifest.kind,
    name: manifest.name,
    owner,
    sender,
    manifestId,
    codeSalt: codeSalt ?? null,
  };
  print(options, { ...shown, delaySeconds: timelock?.delaySeconds ?? null, sent, calls: shaped }, () =>
    [
      `${calls.length === 0 ? 'Nothing to do' : sent ? 'Sent' : 'To be sent'}: ${manifest.name}`,
      `  app       ${app}`,
      `  manifest  ${manifestId}`,
      `  owner     ${owner}${timelock === undefined ? '' : `, a timelock of ${timelock.delaySeconds} s`}`,
      ...(codeSalt === undefined ? [] : [`  salt      ${codeSalt}: keep it`]),
      ...(sent || calls.length === 0
        ? []
        : [`  by        ${sender}`, ...shaped.map(({ to, data }) => `  to ${to}\n  data ${data}`)]),
    ].join('\n'),
  );
  if (!options.json && sent && timelock !== undefined)
    note(`"cloister versions ${app}" shows what is announced; "cloister timelock execute" ends the wait.`);
}

/** What a kind's code is, where it is no program. */
const codeWords: { readonly [Kind in RunnableKind]?: string } = { model: 'weights', container: 'images ' };

/** The manifest fields that options state, over those that a file states. Throws OPTION_VALUE_INVALID. */
function manifestFields(options: Options, stated: WholeFields): WholeFields {
  const { env, outbound, state, notice, replicas, memoryMb, wallMs, inputMb, fuel } = options;
  const placement = stated.placement ?? { teeTypes: ['tdx'] as const, minTcbEvaluationDataNumber: 0, distinct: [] };
  return {
    ...(env === undefined ? {} : { env: namedValues('--env', env) }),
    ...(outbound === undefined ? {} : { outbound }),
    ...(state === undefined ? {} : { state: { partitions: wholeNumber('--state', state) } }),
    ...priceField(options, stated),
    ...modelField(options, stated),
    ...(options.deterministic ? { determinism: 'deterministic' as const } : {}),
    ...(notice === undefined
      ? {}
      : { upgrade: { vetoer: null, ...stated.upgrade, noticeSeconds: wholeNumber('--notice', notice) } }),
    ...(replicas === undefined ? {} : { placement: { ...placement, replicas: wholeNumber('--replicas', replicas) } }),
    limits: {
      ...stated.limits,
      ...(memoryMb === undefined ? {} : { memoryBytes: wholeNumber('--memory-mb', memoryMb) * 1024 * 1024 }),
      ...(wallMs === undefined ? {} : { wallMs: wholeNumber('--wall-ms', wallMs) }),
      ...(inputMb === undefined ? {} : { inputBytes: wholeNumber('--input-mb', inputMb) * 1024 * 1024 }),
      ...(fuel === undefined ? {} : { fuel: wholeNumber('--fuel', fuel) }),
    },
  };
}

/** A module that no worker could run is told before anything is deployed. Throws INVALID_WORKLOAD. */
function assertModuleRuns(
  { code, name }: Pick<ReadCode, 'code' | 'name'>,
  fields: Parameters<typeof manifestOfKind>[1] | object,
): void {
  const reference = { sha256: toHex(sha256(code)), bytes: code.length };
  const { limits, determinism } = manifestOfKind('wasm', { ...fields, name, code: reference });
  checkModule(code, {
    memoryBytes: limits.memoryBytes,
    fuel: limits.fuel,
    deterministic: determinism === 'deterministic',
  });
}

/** What a model's calls may have, where an option says so. */
function modelField({ contextTokens, maxTokens }: Options, { model }: WholeFields): Pick<Partial<Manifest>, 'model'> {
  if (contextTokens === undefined && maxTokens === undefined) return {};
  return {
    model: {
      contextTokens:
        contextTokens === undefined ? (model?.contextTokens ?? 4_096) : wholeNumber('--context-tokens', contextTokens),
      maxTokens: maxTokens === undefined ? (model?.maxTokens ?? 1_024) : wholeNumber('--max-tokens', maxTokens),
    },
  };
}

function priceField(options: Options, { price = freePrice }: WholeFields): Pick<Partial<Manifest>, 'price'> {
  const { pricePerCall, pricePerCpuMs, pricePerInputToken, pricePerOutputToken } = options;
  const parts = {
    ...amountOf('perCall', '--price-per-call', pricePerCall),
    ...amountOf('perCpuMs', '--price-per-cpu-ms', pricePerCpuMs),
    ...amountOf('perInputToken', '--price-per-input-token', pricePerInputToken),
    ...amountOf('perOutputToken', '--price-per-output-token', pricePerOutputToken),
  };
  return Object.keys(parts).length === 0 ? {} : { price: { ...price, ...parts } };
}

function amountOf(part: keyof Price, option: string, pha: string | undefined): Partial<Record<keyof Price, string>> {
  return pha === undefined ? {} : { [part]: phaAmount(option, pha).toString() };
}
