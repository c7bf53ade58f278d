import {
  type Abi,
  type Address,
  encodeFunctionData,
  type Hex,
  type PrivateKeyAccount,
  toHex,
  zeroAddress,
  zeroHash,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { accountsOf, type Connection } from './accounts.ts';
import {
  type Claims,
  defaultImageId,
  defaultTcbStatuses,
  encodeClaims,
  networkFileId,
  platformId,
  platformKey,
  tcb,
  workerBinding,
} from './evidence.ts';

export type World = Awaited<ReturnType<typeof deployWorld>>;

export const chainId = 31337;
export const teeTdx = 2;
export const functionKind = 1;
export const hour = 3600;
/** Far beyond any lease: collateral that never ends first. */
export const farFuture = 4_000_000_000n;
/** What images of a network without notice may be allowed with. */
export const noRecipe = { hash: zeroHash, uri: '' } as const;

/** A receipt signer, made from a number. */
export function signerOf(seed: number): PrivateKeyAccount {
  return privateKeyToAccount(toHex(0xc101_5733_0000n + BigInt(seed), { size: 32 }));
}

export function registrySettings(timelock: Address, imageRegistry: Address, genesis: bigint) {
  return {
    timelock,
    imageRegistry,
    genesis,
    epochLength: hour,
    roundLength: 30,
    maxAttestedBlockAge: 300,
    simulatedAllowed: true,
  };
}

/** What evidence of a type must meet in the tests, but for the changes. */
export function teePolicy(verifier: Address, changes: Partial<TeePolicy> = {}): TeePolicy {
  const leaseDuration = 6 * hour;
  return {
    verifier,
    leaseDuration,
    acceptedTcbStatuses: defaultTcbStatuses,
    minimumTcbEvaluationDataNumber: 10,
    ...changes,
  };
}

export type TeePolicy = {
  readonly verifier: Address;
  readonly leaseDuration: number;
  readonly acceptedTcbStatuses: number;
  readonly minimumTcbEvaluationDataNumber: number;
};

/** A network with an allowed image and network file, and a scripted verifier for TDX; nothing enrolled. */
export async function deployWorld(connection: Connection) {
  const { viem } = connection;
  const publicClient = await viem.getPublicClient();
  const accounts = await accountsOf(connection);
  const { deployer } = accounts;
  const timelock = await viem.deployContract('TimelockController', [
    0n,
    [deployer.account.address],
    [deployer.account.address],
    zeroAddress,
  ]);
  const images = await viem.deployContract('ImageRegistry', [timelock.address, 0n]);
  const genesis = (await publicClient.getBlock()).timestamp;
  const settings = registrySettings(timelock.address, images.address, genesis);
  const workers = await viem.deployContract('WorkerRegistry', [settings]);
  const verifier = await viem.deployContract('UnsafeScriptedVerifier', []);
  const apps = await viem.deployContract('AppRegistry', []);

  let salt = 0n;
  /** Schedules and executes one call by the timelock. */
  async function govern(
    target: { readonly address: Address; readonly abi: Abi },
    functionName: string,
    args: readonly unknown[],
  ) {
    const data = encodeFunctionData({ abi: target.abi, functionName, args });
    const operation = [target.address, 0n, data, zeroHash, toHex(++salt, { size: 32 })] as const;
    await timelock.write.schedule([...operation, 0n]);
    return timelock.write.execute([...operation]);
  }

  await govern(images, 'allow', [defaultImageId, 0n, farFuture, 'worker 1', noRecipe]);
  await govern(images, 'allowConfig', [networkFileId]);
  await govern(workers, 'setTeePolicy', [teeTdx, teePolicy(verifier.address)]);
  return {
    viem,
    publicClient,
    ...accounts,
    timelock,
    images,
    workers,
    verifier,
    apps,
    settings,
    govern,
  };
}

/** Enrols the operator's next worker and gives its id. */
export async function enroll(
  world: World,
  operator: World['operator'] = world.operator,
  registry: World['workers'] = world.workers,
): Promise<Hex> {
  const index = await registry.read.enrolledCount([operator.account.address]);
  await registry.write.enroll({ account: operator.account });
  return registry.read.workerIdOf([operator.account.address, index]);
}

export type RegistrationChanges = {
  readonly registry?: World['workers'];
  readonly operator?: World['operator'];
  readonly index?: bigint;
  readonly signer?: Address;
  readonly boundOperator?: Address;
  readonly boundSigner?: Address;
  readonly boundRegistry?: Address;
  readonly boundChainId?: number;
  readonly networkKeysHash?: Hex;
  readonly kinds?: number;
  readonly attestedBlock?: bigint;
  readonly blockHash?: Hex;
  readonly teeType?: number;
  readonly claims?: Partial<Claims>;
};

/** The claims of evidence that holds, about an image, network file and platform of the tests. */
export const someClaims: Omit<Claims, 'reportDataHead' | 'reportDataTail'> = {
  teeType: teeTdx,
  attestedBy: 1,
  simulated: true,
  debug: false,
  tcbStatus: tcb.upToDate,
  tcbEvaluationDataNumber: 17,
  validUntil: farFuture,
  imageId: defaultImageId,
  configId: networkFileId,
  platformId,
  evidenceHash: toHex(0xe71d, { size: 32 }),
  platformKey,
  tcb: toHex(0x7cb, { size: 32 }),
};

/** The arguments of register for evidence that holds, but for the changes. Attests the newest block. */
export async function registration(world: World, workerId: Hex, changes: RegistrationChanges = {}) {
  const { publicClient } = world;
  const registry = changes.registry ?? world.workers;
  const operator = changes.operator ?? world.operator;
  const signer = changes.signer ?? signerOf(1).address;
  const block = await publicClient.getBlock(
    changes.attestedBlock === undefined ? {} : { blockNumber: changes.attestedBlock },
  );
  const reportDataHead = workerBinding(
    changes.boundChainId ?? chainId,
    changes.boundRegistry ?? registry.address,
    changes.boundOperator ?? operator.account.address,
    changes.boundSigner ?? signer,
    changes.networkKeysHash,
  );
  const reportDataTail = changes.blockHash ?? block.hash ?? zeroHash;
  return [
    changes.index ?? (await indexOf(registry, operator.account.address, workerId)),
    signer,
    changes.kinds ?? functionKind,
    block.number ?? 0n,
    changes.teeType ?? teeTdx,
    encodeClaims({ ...someClaims, reportDataHead, reportDataTail, ...changes.claims }),
  ] as const;
}

/** Which of an operator's workers an id is; one past the last where it is none of them. */
async function indexOf(registry: World['workers'], operator: Address, workerId: Hex): Promise<bigint> {
  const count = await registry.read.enrolledCount([operator]);
  for (let index = 0n; index < count; index += 1n)
    if ((await registry.read.workerIdOf([operator, index])) === workerId) return index;
  return count;
}

/** Registers with evidence that holds, but for the changes; gives the transaction's hash. */
export async function register(world: World, workerId: Hex, changes: RegistrationChanges = {}): Promise<Hex> {
  const registry = changes.registry ?? world.workers;
  const operator = changes.operator ?? world.operator;
  return registry.write.register(await registration(world, workerId, changes), { account: operator.account });
}

/** The record of the worker's last registration, from its event. */
export async function lastRecord(world: World, workerId: Hex, registry: World['workers'] = world.workers) {
  const events = await registry.getEvents.WorkerRegistered({ workerId }, { fromBlock: 0n });
  const record = events.at(-1)?.args.record;
  if (record === undefined) throw new Error(`Expected a WorkerRegistered event of "${workerId}"`);
  return record;
}
