import type { Address, Bytes32, Hex } from './hex.ts';
import type { TeeType } from './image.ts';
import { jcsId, parseBoundedJson } from './jcs.ts';
import * as z from './schema.ts';

const trustRoot = z.strictObject({
  /** Whose evidence it vouches for: Intel's for the first two, AMD's, AWS's. */
  tee: z.enumOf(['tdx', 'sgx', 'sev-snp', 'nitro']),
  /** sha256 over the DER SubjectPublicKeyInfo of the root. */
  spkiSha256: z.bytes32,
  simulated: z.boolean(),
  name: z.text(128),
});

const networkKeys = z.strictObject({ apps: z.hexOf(48), beacon: z.hexOf(48) });

const bridgeLink = z.strictObject({
  name: z.text(64),
  chainId: z.intBetween(1, Number.MAX_SAFE_INTEGER),
  rpcs: z.array(z.baseUrl).check(z.refineArray(1, 16)),
  home: z.strictObject({ bridge: z.address, phaRoute: z.address }),
  remote: z.strictObject({
    timelock: z.address,
    committee: z.address,
    bridge: z.address,
    phaRoute: z.address,
    pha: z.address,
  }),
});

const networkFileJson = z.strictObject({
  format: z.literal('cloister-network-1'),
  name: z.text(64),
  chainId: z.intBetween(1, Number.MAX_SAFE_INTEGER),
  contracts: z.strictObject({
    timelock: z.address,
    phaToken: z.address,
    imageRegistry: z.address,
    workerRegistry: z.address,
    appRegistry: z.address,
    gatekeeperCommittee: z.address,
    epochRecords: z.address,
    payments: z.address,
    stakePools: z.address,
    workerBonds: z.address,
    slashing: z.address,
    emission: z.address,
    epochRewards: z.address,
    storageRent: z.address,
    governor: z.address,
  }),
  /** JSON-RPC URLs of the chain; what binds is read from all of them and must agree. */
  rpcs: z.array(z.baseUrl).check(z.refineArray(1, 16)),
  gateways: z.array(z.baseUrl).check(z.refineArray(1, 64)),
  trustRoots: z.array(trustRoot).check(z.refineArray(1, 16)),
  /** BLS12-381 public keys in G1, compressed; null before the committee exists. */
  networkKeys: z.nullable(networkKeys),
  /** Links to other chains; a network without any has no such field. */
  bridges: z.exactOptional(z.array(bridgeLink).check(z.refineArray(1, 8))),
  /** A simulated network accepts evidence of roots named DEV, for ever; a real one never. */
  simulated: z.boolean(),
});

/** Everything a client pins to know a network. Chosen by the user, never fetched from a gateway. */
export type NetworkFile = {
  readonly format: 'cloister-network-1';
  readonly name: string;
  readonly chainId: number;
  readonly contracts: {
    readonly timelock: Address;
    readonly phaToken: Address;
    readonly imageRegistry: Address;
    readonly workerRegistry: Address;
    readonly appRegistry: Address;
    readonly gatekeeperCommittee: Address;
    readonly epochRecords: Address;
    readonly payments: Address;
    readonly stakePools: Address;
    readonly workerBonds: Address;
    readonly slashing: Address;
    readonly emission: Address;
    readonly epochRewards: Address;
    readonly storageRent: Address;
    /** Whose votes propose to the timelock. Names the rules of acts and the delegates of stake. */
    readonly governor: Address;
  };
  readonly rpcs: readonly string[];
  readonly gateways: readonly string[];
  readonly trustRoots: readonly {
    readonly tee: TeeType;
    readonly spkiSha256: Bytes32;
    readonly simulated: boolean;
    readonly name: string;
  }[];
  readonly networkKeys: { readonly apps: Hex; readonly beacon: Hex } | null;
  /** Each to another chain, by its JSON-RPC URLs, with the contracts at both ends. */
  readonly bridges?: readonly {
    readonly name: string;
    readonly chainId: number;
    readonly rpcs: readonly string[];
    readonly home: { readonly bridge: Address; readonly phaRoute: Address };
    readonly remote: {
      readonly timelock: Address;
      readonly committee: Address;
      readonly bridge: Address;
      readonly phaRoute: Address;
      readonly pha: Address;
    };
  }[];
  readonly simulated: boolean;
};

export const maxNetworkFileBytes = 64 * 1024;

/** The id that devices report as MRCONFIGID: sha256 of the canonical JSON. */
export function networkFileId(network: NetworkFile): Bytes32 {
  return jcsId(network);
}

/** Epochs that an app stays where it is placed: a day's, and one where the network is simulated, so that moving is seen there. */
export function placementTermEpochs({ simulated }: Pick<NetworkFile, 'simulated'>): bigint {
  return simulated ? 1n : 24n;
}

/**
 * Reads a network file. Refuses unknown fields, a simulated root in a network that is not simulated, two links to one chain, plain http
 * beyond loopback, and plain http at all where the network is not simulated. Throws SchemaError and JsonError.
 */
export function parseNetworkFile(input: Uint8Array | unknown): NetworkFile {
  const json = input instanceof Uint8Array ? parseBoundedJson(input, maxNetworkFileBytes, 'network file') : input;
  const network = z.parseWith(networkFileJson, json, 'network file') as NetworkFile;
  network.trustRoots.forEach((root, index) => {
    if (root.simulated && !network.simulated)
      throw new z.SchemaError(
        'network file',
        `$.trustRoots.${index}`,
        'a simulated root in a network that is not simulated',
      );
    if (root.simulated && !root.name.includes('DEV'))
      throw new z.SchemaError('network file', `$.trustRoots.${index}.name`, 'a simulated root must be named DEV');
  });
  const placed = (place: string, values: readonly string[]) =>
    values.map((value, index) => [`${place}.${index}`, value] as const);
  const urls = [...placed('$.rpcs', network.rpcs), ...placed('$.gateways', network.gateways)];
  const chains = new Set([network.chainId]);
  network.bridges?.forEach(({ chainId, rpcs }, at) => {
    if (chains.has(chainId))
      throw new z.SchemaError('network file', `$.bridges.${at}.chainId`, 'each link leads to a chain of its own');
    chains.add(chainId);
    urls.push(...placed(`$.bridges.${at}.rpcs`, rpcs));
  });
  for (const [place, value] of urls) {
    const url = new URL(value);
    if (url.protocol === 'http:' && !(network.simulated && isLoopback(url.hostname)))
      throw new z.SchemaError('network file', place, 'plain http is only for loopback in a simulated network');
  }
  return network;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
