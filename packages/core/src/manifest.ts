import { type ChainPolicy, chainPolicyForm } from './chainPolicy.ts';
import { parseCron } from './cron.ts';
import { CloisterError } from './errors.ts';
import { type Address, type Bytes32, zeroAddress } from './hex.ts';
import { canonicalJson, jcsId, parseCanonicalJson } from './jcs.ts';
import { outboundPlaces, outboundService } from './outbound.ts';
import { highestFeeOf, isFree, type ManifestPrice } from './price.ts';
import * as z from './schema.ts';
import { type CodeReference, codeReferenceJson } from './sealedCode.ts';

export const workloadKinds = { function: 0, wasm: 1, model: 2, container: 3 } as const;
export type WorkloadKind = keyof typeof workloadKinds;

export const imagePolicies = { network: 0, pinned: 1, both: 2 } as const;
export type ImagePolicy = keyof typeof imagePolicies;

/** Partitions that an app's state can have. */
export const maxStatePartitions = 1_024;

/**
 * The partition in which the hosts of an app write down what they do for it by themselves: runs that are due, transactions of its account.
 * The app's code does not reach it.
 */
export const hostsPartition = maxStatePartitions - 1;

/** What an app is and may do, fixed by its id. Sizes in bytes, times in the unit of the name, prices in the token's smallest unit. */
export type Manifest = {
  readonly format: 'cloister-manifest-1';
  readonly kind: WorkloadKind;
  readonly name: string;
  readonly code: CodeReference;
  readonly runtime: { readonly name: string; readonly compatibilityDate: string };
  /** Only for the kind 'model', whose code is a {@link WeightsList}. Tokens of one call. */
  readonly model?: {
    /** Of prompt and answer together. */
    readonly contextTokens: number;
    /** Of an answer. */
    readonly maxTokens: number;
  };
  /** Only for the kind 'container', whose code is a {@link ContainerList}: where its calls go. */
  readonly container?: {
    /** A service of the compose file. */
    readonly service: string;
    /** The TCP port on which that service speaks HTTP. */
    readonly port: number;
  };
  readonly limits: {
    readonly memoryBytes: number;
    /** Wall-clock time of one call. */
    readonly wallMs: number;
    readonly cpuMs: number;
    readonly outputBytes: number;
    /** Bytes of a request's body that is streamed. Default: what one that is not streamed may have, 8 MiB. */
    readonly inputBytes?: number;
    readonly maxConcurrent: number;
    /** Instructions of one call, for kind "wasm" and runtime "quickjs": they are counted where this is given. */
    readonly fuel?: number;
  };
  /**
   * Where the app may send anything: "host", "host:port" (https) or "http://host[:port]"; "app:0x…" for another app; "chain:read" for
   * reads of the chain, which the network's RPCs see; "worker:guest" for the worker's guest agent.
   */
  readonly outbound: readonly string[];
  /** Public constants that the code sees in `env`. Anyone can read them. */
  readonly env: { readonly [name: string]: string };
  /** Names of sealed values that the code sees in `env`. */
  readonly secrets: readonly string[];
  readonly state: { readonly partitions: number } | null;
  /** When one of the app's hosts runs its handler `scheduled`: five fields of cron, in UTC (docs/functions.md). */
  readonly schedules: readonly { readonly cron: string }[];
  /** What the app may sign with its account on the network's chain; without it, it has none. */
  readonly chain?: ChainPolicy;
  /** What a host is paid for a call. */
  readonly price: ManifestPrice;
  readonly placement: {
    readonly replicas: number;
    readonly teeTypes: readonly ('sgx' | 'tdx' | 'sev-snp' | 'nitro')[];
    readonly minTcbEvaluationDataNumber: number;
    readonly distinct: readonly ('platform' | 'operator' | 'vendor')[];
  };
  readonly imagePolicy: ImagePolicy;
  /** Compare k of n answers; null runs each call once. */
  readonly redundancy: {
    readonly k: number;
    readonly n: number;
    readonly compare: 'exact' | 'tolerance' | 'median';
  } | null;
  readonly determinism: 'none' | 'deterministic';
  readonly upgrade: { readonly noticeSeconds: number; readonly vetoer: Address | null };
};

const MiB = 1024 * 1024;
export const maxManifestBytes = 64 * 1024;

/** A call that is silent for longer than this is cut by the relays. */
const maxRelayedWallMs = 100_000;
/** What a constant or a secret may be called. */
export const envName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
/** What a service of a compose file may be called. */
export const serviceName = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
const hostLabel = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const port = '(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
const outboundHost = new RegExp(`^(?:http://)?${hostLabel}(?:\\.${hostLabel})*(?::${port})?$`);
const outboundPlace = new RegExp(`${outboundHost.source}|${outboundService.source}`);

/** As much as a channel can hold, at most. */
const priceAmount = z.uintText(96);

const maxContextTokens = 1_048_576;

/** The form of a {@link Manifest}. */
export const manifestJson = z.strictObject({
  format: z.literal('cloister-manifest-1'),
  kind: z.enumOf(['function', 'wasm', 'model', 'container']),
  name: z.pattern(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/),
  code: codeReferenceJson,
  runtime: z.strictObject({
    name: z.pattern(/^[a-z0-9-]{1,32}$/),
    compatibilityDate: z.pattern(/^\d{4}-\d{2}-\d{2}$/),
  }),
  model: z.exactOptional(
    z.strictObject({
      contextTokens: z.intBetween(1, maxContextTokens),
      maxTokens: z.intBetween(1, maxContextTokens),
    }),
  ),
  container: z.exactOptional(z.strictObject({ service: z.pattern(serviceName), port: z.intBetween(1, 65_535) })),
  limits: z.strictObject({
    memoryBytes: z.intBetween(32 * MiB, 4096 * MiB),
    wallMs: z.intBetween(10, 900_000),
    cpuMs: z.intBetween(10, 900_000),
    outputBytes: z.intBetween(1, 256 * MiB),
    inputBytes: z.exactOptional(z.intBetween(1, 1024 * MiB)),
    maxConcurrent: z.intBetween(1, 256),
    fuel: z.exactOptional(z.intBetween(1, Number.MAX_SAFE_INTEGER)),
  }),
  outbound: z.array(z.pattern(outboundPlace)).check(z.refineArray(0, 64)),
  env: z.record(z.pattern(envName), z.text(16_384)),
  secrets: z.array(z.pattern(envName)).check(z.refineArray(0, 64)),
  state: z.nullable(z.strictObject({ partitions: z.intBetween(1, maxStatePartitions) })),
  schedules: z.array(z.strictObject({ cron: z.text(64) })).check(z.refineArray(0, 16)),
  chain: z.exactOptional(chainPolicyForm),
  price: z.strictObject({
    perCall: priceAmount,
    perCpuMs: priceAmount,
    perGiBSecond: priceAmount,
    perOutputKiB: priceAmount,
    perInputToken: z.exactOptional(priceAmount),
    perOutputToken: z.exactOptional(priceAmount),
    failedCalls: z.enumOf(['free', 'metered']),
  }),
  placement: z.strictObject({
    replicas: z.intBetween(1, 64),
    teeTypes: z.array(z.enumOf(['sgx', 'tdx', 'sev-snp', 'nitro'])).check(z.refineArray(1, 4)),
    minTcbEvaluationDataNumber: z.uint(0xffff_ffff),
    distinct: z.array(z.enumOf(['platform', 'operator', 'vendor'])).check(z.refineArray(0, 3)),
  }),
  imagePolicy: z.enumOf(['network', 'pinned', 'both']),
  redundancy: z.nullable(
    z.strictObject({
      k: z.intBetween(1, 64),
      n: z.intBetween(1, 64),
      compare: z.enumOf(['exact', 'tolerance', 'median']),
    }),
  ),
  determinism: z.enumOf(['none', 'deterministic']),
  upgrade: z.strictObject({ noticeSeconds: z.intBetween(0, 31_536_000), vetoer: z.nullable(z.address) }),
});

/** The price of what costs nothing. */
export const freePrice: Manifest['price'] = {
  perCall: '0',
  perCpuMs: '0',
  perGiBSecond: '0',
  perOutputKiB: '0',
  failedCalls: 'free',
};

/** What each kind that this release runs is run by; the first unless a manifest names another. */
export const runtimeNames = {
  function: ['workerd', 'quickjs'],
  wasm: ['wasi-preview1'],
  model: ['llama-cpp', 'onnxruntime', 'onnxruntime-web'],
  container: ['oci'],
} as const;
export type RunnableKind = keyof typeof runtimeNames;

export type ManifestFields = Pick<Manifest, 'name' | 'code'> &
  Partial<Omit<Manifest, 'format' | 'kind' | 'name' | 'code' | 'limits'>> & { limits?: Partial<Manifest['limits']> };

const compatibilityDate = '2026-11-01';
/** What makes a function's manifest one of a deterministic function. Its fuel has a default then. */
export const deterministicFunction: Pick<Manifest, 'runtime' | 'determinism'> = {
  runtime: { name: 'quickjs', compatibilityDate },
  determinism: 'deterministic',
};
/** Some seconds of a processor: well before the time limit ends a call, which is not the same everywhere. */
const defaultFunctionFuel = 10_000_000_000;
/** Where the limits of a kind differ from those of others. */
const limitsOfKind: { readonly [Kind in RunnableKind]?: Partial<Manifest['limits']> } = {
  model: { memoryBytes: 1024 * MiB, wallMs: 60_000, cpuMs: 120_000 },
  container: { memoryBytes: 256 * MiB, wallMs: 30_000, cpuMs: 30_000 },
};

/** The manifest of a function with everything at its default. */
export function functionManifest(fields: ManifestFields): Manifest {
  return manifestOfKind('function', fields);
}

/** The manifest of an app of the kind with everything at its default. */
export function manifestOfKind(kind: RunnableKind, fields: ManifestFields): Manifest {
  return manifestFromJson({
    format: 'cloister-manifest-1',
    kind,
    runtime: { name: runtimeNames[kind][0], compatibilityDate },
    ...(kind === 'model' && { model: { contextTokens: 4_096, maxTokens: 1_024 } }),
    outbound: [],
    env: {},
    secrets: [],
    state: null,
    schedules: [],
    price: freePrice,
    placement: { replicas: 2, teeTypes: ['tdx'], minTcbEvaluationDataNumber: 0, distinct: [] },
    imagePolicy: needsKeys({ secrets: [], state: null, schedules: [], outbound: [], ...fields }) ? 'both' : 'network',
    redundancy: null,
    determinism: 'none',
    upgrade: { noticeSeconds: 0, vetoer: null },
    ...fields,
    limits: {
      memoryBytes: 128 * MiB,
      wallMs: 10_000,
      cpuMs: 10_000,
      outputBytes: 8 * MiB,
      maxConcurrent: 16,
      ...limitsOfKind[kind],
      ...(fields.runtime?.name === 'quickjs' && { fuel: defaultFunctionFuel }),
      ...fields.limits,
    },
  });
}

/** sha256 of the manifest's canonical JSON. */
export function manifestId(manifest: Manifest): Bytes32 {
  return jcsId(manifest);
}

/** The bytes that are stored under the manifest's id. */
export function manifestBytes(manifest: Manifest): Uint8Array {
  return new TextEncoder().encode(canonicalJson(manifest));
}

/** Reads the stored bytes: canonical form only, nothing unknown, every value within its bounds. */
export function parseManifest(bytes: Uint8Array): Manifest {
  return manifestFromJson(parseCanonicalJson(bytes, maxManifestBytes, 'manifest'));
}

/** Reads a manifest from parsed JSON, with the same checks but for the canonical form. */
export function manifestFromJson(json: unknown): Manifest {
  const manifest = z.parseWith(manifestJson, json, 'manifest') as Manifest;
  if (manifest.model !== undefined && manifest.kind !== 'model')
    throw new ManifestError('MANIFEST_NOT_A_MODEL', `A "${manifest.kind}" has no field "model"`);
  if (manifest.container !== undefined && manifest.kind !== 'container')
    throw new ManifestError('MANIFEST_NOT_A_CONTAINER', `A "${manifest.kind}" has no field "container"`);
  const names = [...Object.keys(manifest.env), ...manifest.secrets];
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined)
    throw new ManifestError('MANIFEST_NAME_REPEATED', `Name "${repeated}" stands twice in env and secrets`);
  if (manifest.redundancy !== null && manifest.redundancy.k > manifest.redundancy.n)
    throw new ManifestError(
      'MANIFEST_REDUNDANCY_IMPOSSIBLE',
      `Can't agree on "${manifest.redundancy.k}" of "${manifest.redundancy.n}" answers`,
    );
  const crons = manifest.schedules.map(({ cron }) => cron);
  for (const cron of crons) parseCron(cron);
  const twice = crons.find((cron, index) => crons.indexOf(cron) !== index);
  if (twice !== undefined) throw new ManifestError('MANIFEST_SCHEDULE_REPEATED', `Schedule "${twice}" stands twice`);
  highestFeeOf(manifest);
  return manifest;
}

/**
 * The first thing in a manifest that this release can't honour, or undefined. The form admits what later releases
 * bring; a worker that would silently leave it out must refuse instead.
 */
export function unavailableFeature(manifest: Manifest): string | undefined {
  const { kind, runtime } = manifest;
  if (!(runtimeNames[kind] as readonly string[]).includes(runtime.name)) return `runtime "${runtime.name}"`;
  const odd = unavailableOfKind[kind]?.(manifest);
  if (odd !== undefined) return odd;
  if (kind === 'wasm' && manifest.outbound.length > 0) return 'outbound hosts for kind "wasm", which reaches none';
  if (runtime.name === 'quickjs') {
    const lacking = unavailableOfQuickJs(manifest);
    if (lacking !== undefined) return lacking;
  } else if (kind !== 'wasm' && manifest.limits.fuel !== undefined)
    return `limits.fuel for kind "${kind}" on "${runtime.name}", which counts nothing`;
  if (countsNoTokens(manifest) && (manifest.price.perInputToken ?? manifest.price.perOutputToken) !== undefined)
    return `a price for tokens of "${runtime.name}", which counts none`;
  if (kind !== 'function' && manifest.state !== null) return `state for kind "${kind}"`;
  if (kind !== 'function' && manifest.schedules.length > 0) return `schedules for kind "${kind}"`;
  if (kind !== 'function' && manifest.chain !== undefined) return `an account on the chain for kind "${kind}"`;
  if (manifest.schedules.length > 0 && !isFree(manifest))
    return 'schedules of an app with a price: nobody pays for them';
  if (writtenByHosts(manifest) && (manifest.state?.partitions ?? 0) > hostsPartition)
    return `${maxStatePartitions} partitions beside schedules or an account on the chain, which take the last one`;
  if (manifest.limits.wallMs > maxRelayedWallMs)
    return `a wallMs above ${maxRelayedWallMs}: gateways cut what is silent for longer`;
  if (manifest.placement.distinct.length > 0 && !needsKeys(manifest))
    return `placement.distinct without ${whatNeedsKeys}`;
  if (manifest.redundancy !== null) return 'redundancy';
  if (manifest.determinism !== 'none' && manifest.limits.fuel === undefined)
    return 'determinism without limits.fuel, which only kind "wasm" and runtime "quickjs" can have';
  if (manifest.imagePolicy !== 'network' && !needsKeys(manifest))
    return `imagePolicy "${manifest.imagePolicy}" without ${whatNeedsKeys}`;
  return undefined;
}

function countsNoTokens({ kind, runtime }: Manifest): boolean {
  return kind !== 'model' || runtime.name !== 'llama-cpp';
}

/** What a deterministic function can't have: it sees nothing of the world, and what it may use is counted. */
function unavailableOfQuickJs({
  determinism,
  limits,
  outbound,
  state,
  schedules,
  chain,
}: Manifest): string | undefined {
  if (determinism !== 'deterministic') return 'runtime "quickjs" without determinism "deterministic"';
  if (limits.fuel === undefined) return 'runtime "quickjs" without limits.fuel';
  if (outbound.length > 0) return 'outbound places for runtime "quickjs", which reaches none';
  if (schedules.length > 0) return 'schedules for runtime "quickjs"';
  if (chain !== undefined) return 'an account on the chain for runtime "quickjs"';
  return state === null ? undefined : 'state for runtime "quickjs"';
}

/** What apps of one kind alone can't have. */
const unavailableOfKind: { readonly [Kind in WorkloadKind]?: (manifest: Manifest) => string | undefined } = {
  model: unavailableOfModel,
  container: unavailableOfContainer,
};

/** What a container can't have: of our services its programs know the guest agent's socket alone, and its archives are stored as they are. */
function unavailableOfContainer({ container, code, outbound }: Manifest): string | undefined {
  if (container === undefined) return 'a container without "container"';
  if (code.sealed !== undefined) return 'sealed images';
  const service = outbound.find((place) => outboundService.test(place) && !outboundPlaces([place]).asksGuest);
  return service === undefined ? undefined : `"${service}" in outbound of kind "container"`;
}

/** What a model can't have: it is data, and runs no code that could use any of these. */
function unavailableOfModel({ model, outbound, env, secrets }: Manifest): string | undefined {
  if (model === undefined) return 'a model without "model"';
  if (outbound.length > 0) return 'outbound hosts of a model';
  return Object.keys(env).length + secrets.length > 0 ? 'env or secrets of a model' : undefined;
}

const whatNeedsKeys = 'secrets, state, sealed code, schedules, an account on the chain or a guest agent';

/** Whether an app has keys of the committee: such an app runs only where it is placed. */
export function needsKeys(
  manifest: Pick<Manifest, 'code' | 'secrets' | 'state' | 'schedules' | 'outbound'> & { readonly chain?: ChainPolicy },
): boolean {
  const { code, secrets, state, outbound } = manifest;
  if (code.sealed !== undefined || secrets.length > 0 || state !== null) return true;
  return writtenByHosts(manifest) || outboundPlaces(outbound).asksGuest;
}

/** Whether an app's state, on which its hosts agree, has this partition: of its own, or {@link hostsPartition}. */
export function hasStatePartition(
  manifest: Pick<Manifest, 'state' | 'schedules'> & { readonly chain?: ChainPolicy },
  partition: number,
): boolean {
  return partition < (manifest.state?.partitions ?? 0) || (partition === hostsPartition && writtenByHosts(manifest));
}

function writtenByHosts({ schedules, chain }: Pick<Manifest, 'schedules'> & { readonly chain?: ChainPolicy }): boolean {
  return schedules.length > 0 || chain !== undefined;
}

/** What AppRegistry keeps packed beside the manifest id, because contracts must enforce it. */
export type EnforcedFields = {
  readonly upgradeNoticeSeconds: number;
  readonly keyVersion: number;
  readonly minKeyVersion: number;
  readonly kind: number;
  readonly imagePolicy: number;
  readonly replicas: number;
  readonly stateful: boolean;
  readonly vetoer: Address;
};

/** The enforced fields that follow from a manifest at a key version. Whoever sees the chain's differ refuses the app. */
export function enforcedFields(manifest: Manifest, keyVersion = 1, minKeyVersion = 1): EnforcedFields {
  return {
    upgradeNoticeSeconds: manifest.upgrade.noticeSeconds,
    keyVersion,
    minKeyVersion,
    kind: workloadKinds[manifest.kind],
    imagePolicy: imagePolicies[manifest.imagePolicy],
    replicas: manifest.placement.replicas,
    stateful: manifest.state !== null,
    vetoer: manifest.upgrade.vetoer ?? zeroAddress,
  };
}

/** The first enforced field in which a manifest and the chain differ. Key versions are the chain's own. */
export function differingEnforcedField(
  manifest: Manifest,
  onChain: EnforcedFields,
): { readonly field: string; readonly stated: string; readonly enforced: string } | undefined {
  const stated = enforcedFields(manifest, onChain.keyVersion, onChain.minKeyVersion);
  for (const field of Object.keys(stated) as (keyof EnforcedFields)[])
    if (stated[field] !== onChain[field])
      return { field, stated: String(stated[field]), enforced: String(onChain[field]) };
  return undefined;
}

export type ManifestErrorCode =
  | 'MANIFEST_NAME_REPEATED'
  | 'MANIFEST_REDUNDANCY_IMPOSSIBLE'
  | 'MANIFEST_NOT_A_MODEL'
  | 'MANIFEST_NOT_A_CONTAINER'
  | 'MANIFEST_SCHEDULE_REPEATED';

export class ManifestError extends CloisterError<ManifestErrorCode> {
  override readonly name = 'ManifestError';
  constructor(code: ManifestErrorCode, message: string) {
    super({ code, message });
  }
}
