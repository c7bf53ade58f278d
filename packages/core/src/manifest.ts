import { CloisterError } from './errors.ts';
import { type Address, type Bytes32, zeroAddress } from './hex.ts';
import { canonicalJson, jcsId, parseCanonicalJson } from './jcs.ts';
import * as z from './schema.ts';
import { type CodeReference, codeReferenceJson } from './sealedCode.ts';

export const workloadKinds = { function: 0, wasm: 1, model: 2, container: 3 } as const;
export type WorkloadKind = keyof typeof workloadKinds;

export const imagePolicies = { network: 0, pinned: 1, both: 2 } as const;
export type ImagePolicy = keyof typeof imagePolicies;

/** Partitions that an app's state can have. */
export const maxStatePartitions = 1_024;

/** What an app is and may do, fixed by its id. Sizes in bytes, times in the unit of the name, prices in the token's smallest unit. */
export type Manifest = {
  readonly format: 'cloister-manifest-1';
  readonly kind: WorkloadKind;
  readonly name: string;
  readonly code: CodeReference;
  readonly runtime: { readonly name: string; readonly compatibilityDate: string };
  readonly limits: {
    readonly memoryBytes: number;
    /** Wall-clock time of one call. */
    readonly wallMs: number;
    readonly cpuMs: number;
    readonly outputBytes: number;
    readonly maxConcurrent: number;
  };
  /** Hosts that the app may reach: "host", "host:port" (https) or "http://host[:port]". */
  readonly outbound: readonly string[];
  /** Public constants that the code sees in `env`. Anyone can read them. */
  readonly env: { readonly [name: string]: string };
  /** Names of sealed values that the code sees in `env`. */
  readonly secrets: readonly string[];
  readonly state: { readonly partitions: number } | null;
  readonly schedules: readonly { readonly cron: string; readonly path: string }[];
  readonly price: { readonly perCall: string; readonly perCpuMs: string };
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
const hostLabel = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const port = '(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
const outboundHost = new RegExp(`^(?:http://)?${hostLabel}(?:\\.${hostLabel})*(?::${port})?$`);

const manifestJson = z.strictObject({
  format: z.literal('cloister-manifest-1'),
  kind: z.enumOf(['function', 'wasm', 'model', 'container']),
  name: z.pattern(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/),
  code: codeReferenceJson,
  runtime: z.strictObject({
    name: z.pattern(/^[a-z0-9-]{1,32}$/),
    compatibilityDate: z.pattern(/^\d{4}-\d{2}-\d{2}$/),
  }),
  limits: z.strictObject({
    memoryBytes: z.intBetween(32 * MiB, 4096 * MiB),
    wallMs: z.intBetween(10, 900_000),
    cpuMs: z.intBetween(10, 900_000),
    outputBytes: z.intBetween(1, 256 * MiB),
    maxConcurrent: z.intBetween(1, 256),
  }),
  outbound: z.array(z.pattern(outboundHost)).check(z.refineArray(0, 64)),
  env: z.record(z.pattern(envName), z.text(16_384)),
  secrets: z.array(z.pattern(envName)).check(z.refineArray(0, 64)),
  state: z.nullable(z.strictObject({ partitions: z.intBetween(1, maxStatePartitions) })),
  schedules: z.array(z.strictObject({ cron: z.text(64), path: z.text(1024) })).check(z.refineArray(0, 16)),
  price: z.strictObject({
    perCall: z.pattern(/^(0|[1-9][0-9]{0,37})$/),
    perCpuMs: z.pattern(/^(0|[1-9][0-9]{0,37})$/),
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

/** The manifest of a function with everything at its default. */
export function functionManifest(
  fields: Pick<Manifest, 'name' | 'code'> &
    Partial<Omit<Manifest, 'format' | 'kind' | 'name' | 'code' | 'limits'>> & { limits?: Partial<Manifest['limits']> },
): Manifest {
  return manifestFromJson({
    format: 'cloister-manifest-1',
    kind: 'function',
    runtime: { name: 'workerd', compatibilityDate: '2026-11-01' },
    outbound: [],
    env: {},
    secrets: [],
    state: null,
    schedules: [],
    price: { perCall: '0', perCpuMs: '0' },
    placement: { replicas: 2, teeTypes: ['tdx'], minTcbEvaluationDataNumber: 0, distinct: [] },
    imagePolicy: needsKeys({ code: fields.code, secrets: fields.secrets ?? [], state: fields.state ?? null })
      ? 'both'
      : 'network',
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
  const names = [...Object.keys(manifest.env), ...manifest.secrets];
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined)
    throw new ManifestError('MANIFEST_NAME_REPEATED', `Name "${repeated}" stands twice in env and secrets`);
  if (manifest.redundancy !== null && manifest.redundancy.k > manifest.redundancy.n)
    throw new ManifestError(
      'MANIFEST_REDUNDANCY_IMPOSSIBLE',
      `Can't agree on "${manifest.redundancy.k}" of "${manifest.redundancy.n}" answers`,
    );
  return manifest;
}

/**
 * The first thing in a manifest that this release can't honour, or undefined. The form admits what later releases
 * bring; a worker that would silently leave it out must refuse instead.
 */
export function unavailableFeature(manifest: Manifest): string | undefined {
  if (manifest.kind !== 'function') return `kind "${manifest.kind}"`;
  if (manifest.runtime.name !== 'workerd') return `runtime "${manifest.runtime.name}"`;
  if (manifest.state !== null) return 'state';
  if (manifest.schedules.length > 0) return 'schedules';
  if (manifest.limits.wallMs > maxRelayedWallMs)
    return `a wallMs above ${maxRelayedWallMs}: gateways cut what is silent for longer`;
  if (manifest.placement.distinct.length > 0 && !needsKeys(manifest))
    return 'placement.distinct without secrets or sealed code';
  if (manifest.redundancy !== null) return 'redundancy';
  if (manifest.determinism !== 'none') return 'determinism';
  if (manifest.price.perCall !== '0' || manifest.price.perCpuMs !== '0') return 'price';
  if (manifest.imagePolicy !== 'network' && !needsKeys(manifest))
    return `imagePolicy "${manifest.imagePolicy}" without secrets or sealed code`;
  return undefined;
}

/** Whether an app has keys of the committee: such an app runs only where it is placed. */
export function needsKeys({ code, secrets, state }: Pick<Manifest, 'code' | 'secrets' | 'state'>): boolean {
  return code.sealed !== undefined || secrets.length > 0 || state !== null;
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

export class ManifestError extends CloisterError<'MANIFEST_NAME_REPEATED' | 'MANIFEST_REDUNDANCY_IMPOSSIBLE'> {
  override readonly name = 'ManifestError';
  constructor(code: 'MANIFEST_NAME_REPEATED' | 'MANIFEST_REDUNDANCY_IMPOSSIBLE', message: string) {
    super({ code, message });
  }
}
