import {
  type Address,
  type Bytes32,
  CloisterError,
  type EnforcedFields,
  type Hex,
  type NetworkFile,
  zeroAddress,
} from '@cloister/core';
import { ChainError, type ChainView } from './chainView.ts';
import { appRegistryAbi, evidenceVerifierAbi, imageRegistryAbi, workerRegistryAbi } from './generated/index.ts';
import { tcbStatusNumbers } from './govern.ts';
import { type WorkerRecord, workerRecordHash } from './workerRecord.ts';

export const workerStates = ['unknown', 'enrolled', 'active', 'evicted', 'retired'] as const;

/** What the registry keeps of a worker. `leaseUntil` in unix seconds; it counts only while the state is active. */
export type WorkerStatus = {
  readonly operator: Address;
  readonly receiptSigner: Address;
  readonly leaseUntil: bigint;
  readonly state: (typeof workerStates)[number];
  readonly kinds: number;
  readonly teeType: number;
  /** `chain` where the contract checked the evidence itself, `committee` where it took the committee's word; null before a registration. */
  readonly attestedBy: 'chain' | 'committee' | null;
  readonly simulated: boolean;
  /** Of its {@link WorkerRecord}; zero before a registration. */
  readonly recordHash: Bytes32;
};

/** What the registry asks of evidence of one TEE type. */
export type TeePolicyStatus = {
  readonly verifier: Address;
  readonly leaseDurationSeconds: number;
  readonly acceptedTcbStatuses: readonly string[];
  readonly minimumTcbEvaluationDataNumber: number;
};

/** What a registration's evidence is worth at a block. */
export type WorkerStanding = {
  readonly imageAllowed: boolean;
  readonly configAllowed: boolean;
  /** Whether governance has not refused its machine. */
  readonly platformAllowed: boolean;
  /** By the collateral and the policy of then. */
  readonly tcbAccepted: boolean;
  readonly tcbEvaluationDataNumber: number;
};

export type AppVersion = { readonly manifestId: Bytes32; readonly version: number; readonly fields: EnforcedFields };

/** Which secrets an app's owner anchored. */
export type AnchoredSecrets = {
  /** sha256 of the bundle's canonical JSON; zero where there are none. */
  readonly bundleId: Bytes32;
  /** Whose signatures the bundle must carry; zero where none were ever set. */
  readonly setBy: Address;
  /** Unix seconds. */
  readonly setAt: bigint;
};

/** The network's clock, immutable on the chain. Seconds. */
export type NetworkClock = { readonly genesis: bigint; readonly epochLength: bigint; readonly roundLength: bigint };

const maxKeptRecords = 4_096;

/** Typed reads of a network's registries through a {@link ChainView}. `block` pins them all to one state. */
export class RegistryReader {
  readonly view: ChainView;
  /** Records by their hashes, which the chain keeps: what has one of them never changes. */
  readonly #records = new Map<Bytes32, WorkerRecord>();
  readonly #contracts: NetworkFile['contracts'];

  constructor(view: ChainView, contracts: NetworkFile['contracts']) {
    this.view = view;
    this.#contracts = contracts;
  }

  async workerStatus(workerId: Bytes32, block?: bigint, signal?: AbortSignal): Promise<WorkerStatus> {
    const status = await this.view.read({ ...this.#workers('statusOf'), args: [workerId], ...at(block) }, signal);
    return {
      operator: lower(status.operator),
      receiptSigner: lower(status.receiptSigner),
      leaseUntil: status.leaseUntil,
      state: workerStates[status.state] ?? 'unknown',
      kinds: status.kinds,
      teeType: status.teeType,
      attestedBy: status.attestedBy === 1 ? 'chain' : status.attestedBy === 2 ? 'committee' : null,
      simulated: status.simulated,
      recordHash: status.recordHash,
    };
  }

  /**
   * What a worker's registration states: its platform, image, and what its TCB verdict rests on. One RPC lists it, and the
   * hash on the chain, as all RPCs give it, proves it. Throws REGISTRY_RECORD_UNKNOWN where nothing listed has that hash.
   */
  async workerRecord(workerId: Bytes32, block?: bigint, signal?: AbortSignal): Promise<WorkerRecord> {
    const { recordHash } = await this.workerStatus(workerId, block, signal);
    const known = this.#records.get(recordHash);
    if (known !== undefined) return known;
    const events = await this.view.events(
      {
        address: this.#contracts.workerRegistry,
        abi: workerRegistryAbi,
        eventName: 'WorkerRegistered',
        args: { workerId },
      },
      signal,
    );
    const records = events.flatMap((event) => ('record' in event ? [event.record as WorkerRecord] : []));
    const record = records.findLast((one) => workerRecordHash(one) === recordHash);
    if (record === undefined)
      throw new RegistryError({
        code: 'REGISTRY_RECORD_UNKNOWN',
        message: `The RPC lists no registration of worker "${workerId}" with the hash that the registry keeps`,
        meta: { workerId, recordHash },
        hint: 'Ask an RPC that keeps all events since the registration',
      });
    this.#records.set(recordHash, record);
    if (this.#records.size > maxKeptRecords) this.#records.delete(this.#records.keys().next().value as Bytes32);
    return record;
  }

  /** The physical machine that a worker is on, by its evidence; several workers may share one. Throws REGISTRY_RECORD_UNKNOWN. */
  async platformOf(workerId: Bytes32, block?: bigint, signal?: AbortSignal): Promise<Bytes32> {
    return (await this.workerRecord(workerId, block, signal)).platformId;
  }

  /** How a registration would fare under the images, collateral and policy of a block: what an eviction would look at. */
  async standing(record: WorkerRecord, block: bigint, signal?: AbortSignal): Promise<WorkerStanding> {
    const { imageId, configId, platformId, teeType, platformKey, tcb } = record;
    const [[imageAllowed, configAllowed], platformAllowed, policy] = await Promise.all([
      this.view.read({ ...this.#images('areAllowed'), args: [imageId, configId], block }, signal),
      this.platformAllowed(platformId, block, signal),
      this.teePolicy(teeType, block, signal),
    ]);
    const allowed = { imageAllowed, configAllowed, platformAllowed };
    // As the contract has it: a type that takes no registrations any more leaves those that run as they are.
    if (policy === undefined) return { ...allowed, tcbAccepted: true, tcbEvaluationDataNumber: 0 };
    const recheck = { address: policy.verifier, abi: evidenceVerifierAbi, functionName: 'recheck' } as const;
    const [status, number] = await this.view.read({ ...recheck, args: [platformKey, tcb], block }, signal);
    const statusName = Object.entries(tcbStatusNumbers).find(([, value]) => value === status)?.[0];
    const tcbAccepted =
      statusName !== undefined &&
      policy.acceptedTcbStatuses.includes(statusName) &&
      number >= policy.minimumTcbEvaluationDataNumber;
    return { ...allowed, tcbAccepted, tcbEvaluationDataNumber: number };
  }

  async activeSigner(
    signer: Address,
    block?: bigint,
    signal?: AbortSignal,
  ): Promise<{ active: boolean; workerId: Bytes32 }> {
    const [active, workerId] = await this.view.read(
      { ...this.#workers('isActiveSigner'), args: [signer], ...at(block) },
      signal,
    );
    return { active, workerId };
  }

  /** The worker that registered this signer last, whatever became of it since; zero for a signer that none had. */
  workerOfSigner(signer: Address, signal?: AbortSignal): Promise<Bytes32> {
    return this.view.read({ ...this.#workers('workerOf'), args: [signer] }, signal);
  }

  /** What registering by evidence of a TEE type asks; undefined where the type can't register. */
  async teePolicy(teeType: number, block?: bigint, signal?: AbortSignal): Promise<TeePolicyStatus | undefined> {
    return teePolicyStatus(
      await this.view.read({ ...this.#workers('teePolicyOf'), args: [teeType], ...at(block) }, signal),
    );
  }

  /** The block in which this signer was evicted for cause, or zero. It outlives the worker's next registration. */
  evictionBlockOf(signer: Address, block?: bigint, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#workers('evictionBlockOf'), args: [signer], ...at(block) }, signal);
  }

  /** How many workers the operator has; their ids are {@link workerIdOf} of 0 to that number. */
  enrolledCount(operator: Address, signal?: AbortSignal): Promise<bigint> {
    return this.view.read({ ...this.#workers('enrolledCount'), args: [operator] }, signal);
  }

  workerIdOf(operator: Address, index: bigint, signal?: AbortSignal): Promise<Bytes32> {
    return this.view.read({ ...this.#workers('workerIdOf'), args: [operator, index] }, signal);
  }

  networkKeysHash(block?: bigint, signal?: AbortSignal): Promise<Bytes32> {
    return this.view.read({ ...this.#workers('networkKeysHash'), args: [], ...at(block) }, signal);
  }

  simulatedAllowed(signal?: AbortSignal): Promise<boolean> {
    return this.view.read({ ...this.#workers('simulatedAllowed'), args: [] }, signal);
  }

  async clock(signal?: AbortSignal): Promise<NetworkClock> {
    const { number: block } = await this.view.head(signal);
    const [genesis, epochLength, roundLength] = await Promise.all([
      this.view.read({ ...this.#workers('genesis'), args: [], block }, signal),
      this.view.read({ ...this.#workers('epochLength'), args: [], block }, signal),
      this.view.read({ ...this.#workers('roundLength'), args: [], block }, signal),
    ]);
    return { genesis, epochLength: BigInt(epochLength), roundLength: BigInt(roundLength) };
  }

  imageAllowed(imageId: Bytes32, block?: bigint, signal?: AbortSignal): Promise<boolean> {
    return this.view.read({ ...this.#images('isImageAllowed'), args: [imageId], ...at(block) }, signal);
  }

  /** Whether governance has not refused the machine. */
  async platformAllowed(platformId: Bytes32, block?: bigint, signal?: AbortSignal): Promise<boolean> {
    return !(await this.view.read({ ...this.#images('isPlatformBlocked'), args: [platformId], ...at(block) }, signal));
  }

  configAllowed(configId: Bytes32, block?: bigint, signal?: AbortSignal): Promise<boolean> {
    return this.view.read({ ...this.#images('isConfigAllowed'), args: [configId], ...at(block) }, signal);
  }

  /** The serving version of an app. Throws REGISTRY_APP_UNKNOWN for one that does not exist. */
  async currentApp(app: Bytes32, block?: bigint, signal?: AbortSignal): Promise<AppVersion> {
    try {
      const [id, version, fields] = await this.view.read(
        { ...this.#apps('current'), args: [app], ...at(block) },
        signal,
      );
      return { manifestId: id, version, fields: { ...fields, vetoer: lower(fields.vetoer) } };
    } catch (error) {
      throw asAppUnknown(app, error);
    }
  }

  /** Unix seconds of the block in which the app was created. Throws REGISTRY_APP_UNKNOWN. */
  async appCreatedAt(app: Bytes32, block?: bigint, signal?: AbortSignal): Promise<bigint> {
    try {
      // The first version serves from the creation on, and nobody can take it back.
      const { effectiveAt } = await this.view.read(
        { ...this.#apps('versionOf'), args: [app, 1], ...at(block) },
        signal,
      );
      return effectiveAt;
    } catch (error) {
      throw asAppUnknown(app, error);
    }
  }

  /** The app's owner; the zero address where there is no such app. */
  async appOwner(app: Bytes32, signal?: AbortSignal): Promise<Address> {
    return lower(await this.view.read({ ...this.#apps('ownerOf'), args: [app] }, signal));
  }

  /** The secrets that the app's owner anchored; all zero where none ever were, or where there is no such app. */
  async secretsOf(app: Bytes32, block?: bigint, signal?: AbortSignal): Promise<AnchoredSecrets> {
    const [bundleId, setBy, setAt] = await this.view.read(
      { ...this.#apps('secretsOf'), args: [app], ...at(block) },
      signal,
    );
    return { bundleId, setBy: lower(setBy), setAt };
  }

  /** Whether the app's owner allows the image to get its keys; false where there is no such app. */
  isImagePinned(app: Bytes32, imageId: Bytes32, block?: bigint, signal?: AbortSignal): Promise<boolean> {
    return this.view.read({ ...this.#apps('isImagePinned'), args: [app, imageId], ...at(block) }, signal);
  }

  /** Apps that the account created, oldest first: a listing of one RPC, for people; nothing binding follows from it. */
  async appsCreatedBy(owner: Address, signal?: AbortSignal): Promise<Bytes32[]> {
    const events = await this.view.events(
      { address: this.#contracts.appRegistry, abi: appRegistryAbi, eventName: 'AppCreated', args: { owner } },
      signal,
    );
    return events.flatMap((event) => ('app' in event && typeof event.app === 'string' ? [event.app as Bytes32] : []));
  }

  #workers<const name extends string>(functionName: name) {
    return { address: this.#contracts.workerRegistry, abi: workerRegistryAbi, functionName };
  }

  #images<const name extends string>(functionName: name) {
    return { address: this.#contracts.imageRegistry, abi: imageRegistryAbi, functionName };
  }

  #apps<const name extends string>(functionName: name) {
    return { address: this.#contracts.appRegistry, abi: appRegistryAbi, functionName };
  }
}

/** What a read of an app throws, named where there is no such app. */
export function asAppUnknown(app: Bytes32, error: unknown): unknown {
  if (!(error instanceof ChainError) || error.meta.errorName !== 'AppRegistryAppUnknown') return error;
  return new RegistryError({
    code: 'REGISTRY_APP_UNKNOWN',
    message: `The chain knows no app "${app}"`,
    meta: { app },
    hint: 'Check the id, and that it was deployed by this account on this network',
    cause: error,
  });
}

/** A contract's TeePolicy as it is read; undefined where the type has no verifier. */
export function teePolicyStatus(policy: {
  readonly verifier: Address;
  readonly leaseDuration: number;
  readonly acceptedTcbStatuses: number;
  readonly minimumTcbEvaluationDataNumber: number;
}): TeePolicyStatus | undefined {
  if (policy.verifier === zeroAddress) return undefined;
  return {
    verifier: lower(policy.verifier),
    leaseDurationSeconds: policy.leaseDuration,
    acceptedTcbStatuses: Object.entries(tcbStatusNumbers).flatMap(([name, number]) =>
      (policy.acceptedTcbStatuses >> number) & 1 ? [name] : [],
    ),
    minimumTcbEvaluationDataNumber: policy.minimumTcbEvaluationDataNumber,
  };
}

function at(block: bigint | undefined): { block?: bigint } {
  return block === undefined ? {} : { block };
}

function lower(address: Hex): Address {
  return address.toLowerCase() as Address;
}

/** The chain knows no such app, or no such registration. */
export class RegistryError extends CloisterError<'REGISTRY_APP_UNKNOWN' | 'REGISTRY_RECORD_UNKNOWN'> {
  override readonly name = 'RegistryError';
}
