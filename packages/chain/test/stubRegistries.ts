import {
  appRegistryAbi,
  evidenceVerifierAbi,
  imageRegistryAbi,
  paymentsAbi,
  type WorkerRecord,
  workerRecordHash,
  workerRegistryAbi,
} from '@cloister/chain';
import {
  type Address,
  appId,
  type Bytes32,
  type EnforcedFields,
  type Hex,
  type NetworkFile,
  teeTypes,
  workerId,
  zeroAddress,
  zeroBytes32,
} from '@cloister/core';
import { encodeAbiParameters, encodeEventTopics, getAbiItem, getAddress } from 'viem';
import { StubCommittee } from './stubCommittee.ts';
import { dispatch, type Refusal, revert, type StubHandlers } from './stubDispatch.ts';
import type { StubCall, StubLog } from './stubRpc.ts';
import { StubTimelocks } from './stubTimelocks.ts';

export { revert };

export const states = { unknown: 0, enrolled: 1, active: 2, evicted: 3, retired: 4 } as const;

export type StubWorker = {
  operator: Address;
  receiptSigner: Address;
  leaseUntil: bigint;
  state: keyof typeof states;
  kinds: number;
};

export type StubApp = {
  owner: Address;
  versions: { manifestId: Bytes32; fields: EnforcedFields; effectiveAt: bigint; withdrawn?: true }[];
};

/**
 * The three registries in memory, with the rules that their readers rely on. What only the contracts' own tests can
 * show, the verification of evidence, is left out: `refuseRegistration` stands for it.
 */
export class StubRegistries {
  readonly workers = new Map<Bytes32, StubWorker>();
  /** The workers as they were up to a block, for reads at blocks so old. */
  readonly #history: { readonly upTo: bigint; readonly workers: Map<Bytes32, StubWorker> }[] = [];
  readonly workerOf = new Map<Address, Bytes32>();
  readonly evictionBlocks = new Map<Address, bigint>();
  readonly enrolled = new Map<Address, bigint>();
  readonly images = new Set<Bytes32>();
  /** Of some of the images, which all have no end here. */
  readonly recipes = new Map<Bytes32, Bytes32>();
  imageRules = { notice: 0n, guardian: zeroAddress as Address, guardianUntil: 0n };
  readonly timelocks: StubTimelocks;
  readonly configs = new Set<Bytes32>();
  readonly blockedPlatforms = new Set<Bytes32>();
  readonly apps = new Map<Bytes32, StubApp>();
  readonly secrets = new Map<Bytes32, { bundleId: Bytes32; setBy: Address; setAt: bigint }>();
  /** "app imageId" of what owners pinned. */
  readonly pinned = new Set<string>();
  readonly registrations: { readonly workerId: Bytes32; readonly receiptSigner: Address; readonly evidence: Hex }[] =
    [];
  networkKeysHash: Bytes32 = zeroBytes32;
  /** As the contract has it; bits 1 and 2 are UpToDate and SWHardeningNeeded. */
  teePolicy = {
    verifier: getAddress(`0x${'7e'.repeat(20)}`),
    leaseDuration: 3_600,
    acceptedTcbStatuses: 0b110,
    minimumTcbEvaluationDataNumber: 0,
  };
  /** TEE types that may register, all by that policy. */
  readonly teeTypes = new Set<number>([teeTypes.tdx]);
  /** 1: the chain checked the evidence itself. */
  attestedBy = 1;
  readonly recordHashes = new Map<Bytes32, Bytes32>();
  /** What the verifier finds of a registration now: a TCB status, and the number of the data that it judged by. */
  recheck: { readonly status: number; readonly tcbEvaluationDataNumber: number } = {
    status: 1,
    tcbEvaluationDataNumber: 18,
  };
  /** Payment channels by id, as the contract has them. */
  readonly channels = new Map<Bytes32, { deposited: bigint; withdrawing?: bigint; closed?: boolean }>();
  readonly committee: StubCommittee;
  leaseSeconds = 3_600n;
  genesis = 1_700_000_000n;
  epochLength = 60n;
  roundLength = 30n;
  /** The hash of a block as the contract knows it. */
  refuseRegistration: ((call: StubCall, attestedBlock: bigint) => Refusal | undefined) | undefined;
  readonly #chainId: number;
  readonly #contracts: NetworkFile['contracts'];

  constructor(chainId: number, contracts: NetworkFile['contracts']) {
    this.#chainId = chainId;
    this.#contracts = contracts;
    this.committee = new StubCommittee(contracts.gatekeeperCommittee);
    this.timelocks = new StubTimelocks(contracts.appRegistry);
  }

  /** Makes a worker active, as its registration would. */
  activate(operator: Address, index: bigint, receiptSigner: Address, leaseUntil: bigint): Bytes32 {
    const id = workerId(this.#chainId, this.#contracts.workerRegistry, operator, index);
    this.workers.set(id, { operator, receiptSigner, leaseUntil, state: 'active', kinds: 1 });
    this.workerOf.set(receiptSigner, id);
    return id;
  }

  /** Makes a record the one that a worker's registration has; answers its log, as a node lists it. */
  keepRecord(id: Bytes32, record: WorkerRecord, blockNumber = 1n): StubLog {
    this.recordHashes.set(id, workerRecordHash(record));
    const event = getAbiItem({ abi: workerRegistryAbi, name: 'WorkerRegistered' });
    const { operator, receiptSigner } = record;
    return {
      address: this.#contracts.workerRegistry,
      topics: encodeEventTopics({
        abi: workerRegistryAbi,
        eventName: 'WorkerRegistered',
        args: { workerId: id, operator, receiptSigner },
      }) as Hex[],
      data: encodeAbiParameters(
        event.inputs.filter(({ indexed }) => !indexed),
        [record, 2_000_000_000n, 1n, zeroBytes32],
      ),
      blockNumber,
    };
  }

  /** The log of a worker's eviction, as a node lists it. */
  evictionLog(id: Bytes32, blockNumber: bigint): StubLog {
    const receiptSigner = this.workers.get(id)?.receiptSigner ?? zeroAddress;
    return {
      address: this.#contracts.workerRegistry,
      topics: encodeEventTopics({
        abi: workerRegistryAbi,
        eventName: 'WorkerEvicted',
        args: { workerId: id, receiptSigner },
      }) as Hex[],
      data: encodeAbiParameters([{ type: 'uint8' }, { type: 'address' }], [0, zeroAddress]),
      blockNumber,
    };
  }

  /** What reads at this block and before go on seeing, whatever changes from now on. */
  freeze(upTo: bigint): void {
    const workers = new Map([...this.workers].map(([id, worker]) => [id, { ...worker }]));
    this.#history.push({ upTo, workers });
  }

  readonly answer = (call: StubCall): Hex => {
    const { workerRegistry, imageRegistry, appRegistry } = this.#contracts;
    if (call.to === workerRegistry) return dispatch(workerRegistryAbi, call, this.#workers(call));
    if (call.to === imageRegistry) return dispatch(imageRegistryAbi, call, this.#images());
    if (call.to === appRegistry) return dispatch(appRegistryAbi, call, this.#apps(call));
    if (call.to === this.#contracts.payments) return dispatch(paymentsAbi, call, this.#payments());
    if (this.committee.answers(call)) return this.committee.answer(call);
    const ofTimelock = this.timelocks.answer(call, this.answer);
    if (ofTimelock !== undefined) return ofTimelock;
    if (call.to === this.teePolicy.verifier.toLowerCase())
      return dispatch(evidenceVerifierAbi, call, {
        recheck: () => [this.recheck.status, this.recheck.tcbEvaluationDataNumber, 0n],
      });
    return '0x';
  };

  #payments(): StubHandlers {
    return {
      channelOf: (id: Bytes32) => {
        const { deposited = 0n, withdrawing = 0n, closed = false } = this.channels.get(id) ?? {};
        const opened = this.channels.has(id);
        const withdrawableAt = withdrawing === 0n ? 0n : 2_000_000_000n;
        return { deposited, voucher: 0n, earned: 0n, claimed: 0n, withdrawing, withdrawableAt, opened, closed };
      },
    };
  }

  #workers({ block, from, commits, at }: StubCall): StubHandlers {
    return {
      statusOf: (id: Bytes32) => {
        const old = at.startsWith('0x') ? this.#history.find(({ upTo }) => BigInt(at) <= upTo) : undefined;
        const worker = (old?.workers ?? this.workers).get(id);
        return {
          operator: getAddress(worker?.operator ?? zeroAddress),
          receiptSigner: getAddress(worker?.receiptSigner ?? zeroAddress),
          leaseUntil: worker?.leaseUntil ?? 0n,
          state: states[worker?.state ?? 'unknown'],
          kinds: worker?.kinds ?? 0,
          teeType: 2,
          attestedBy: this.attestedBy,
          simulated: true,
          recordHash: this.recordHashes.get(id) ?? zeroBytes32,
        };
      },
      isActiveSigner: (signer: Address) => {
        const id = this.workerOf.get(signer) ?? zeroBytes32;
        const worker = this.workers.get(id);
        const active =
          worker?.receiptSigner === signer && worker.state === 'active' && worker.leaseUntil > block.timestamp;
        return [active, id];
      },
      workerOf: (signer: Address) => this.workerOf.get(signer) ?? zeroBytes32,
      evictionBlockOf: (signer: Address) => this.evictionBlocks.get(signer) ?? 0n,
      enrolledCount: (operator: Address) => this.enrolled.get(operator) ?? 0n,
      workerIdOf: (operator: Address, index: bigint) =>
        workerId(this.#chainId, this.#contracts.workerRegistry, operator, index),
      networkKeysHash: () => this.networkKeysHash,
      teePolicyOf: (teeType: number) =>
        this.teeTypes.has(teeType) ? this.teePolicy : { ...this.teePolicy, verifier: zeroAddress },
      simulatedAllowed: () => true,
      genesis: () => this.genesis,
      epochLength: () => Number(this.epochLength),
      roundLength: () => Number(this.roundLength),
      retire: (workerId: Bytes32) => {
        const worker = this.workers.get(workerId);
        if (worker === undefined || worker.operator !== from)
          throw new Error('The stub retires workers for their operators');
        if (commits) Object.assign(worker, { state: 'retired' });
      },
      enroll: () => {
        const index = this.enrolled.get(from) ?? 0n;
        const id = workerId(this.#chainId, this.#contracts.workerRegistry, from, index);
        if (commits) {
          this.enrolled.set(from, index + 1n);
          this.workers.set(id, {
            operator: from,
            receiptSigner: zeroAddress,
            leaseUntil: 0n,
            state: 'enrolled',
            kinds: 0,
          });
        }
        return id;
      },
      register: (
        index: bigint,
        receiptSigner: Address,
        kinds: number,
        attestedBlock: bigint,
        _: number,
        evidence: Hex,
      ) => {
        const id = workerId(this.#chainId, this.#contracts.workerRegistry, from, index);
        if (!this.workers.has(id))
          throw revert({ errorName: 'WorkerRegistryNotEnrolled', args: [getAddress(from), index] });
        const refusal = this.refuseRegistration?.({ block, from, commits } as StubCall, attestedBlock);
        if (refusal !== undefined) throw revert(refusal);
        const leaseUntil = block.timestamp + this.leaseSeconds;
        if (commits) {
          this.workers.set(id, { operator: from, receiptSigner, leaseUntil, state: 'active', kinds });
          this.workerOf.set(receiptSigner, id);
          this.registrations.push({ workerId: id, receiptSigner, evidence });
        }
        return leaseUntil;
      },
    };
  }

  #images(): StubHandlers {
    return {
      isPlatformBlocked: (platformId: Bytes32) => this.blockedPlatforms.has(platformId),
      isImageAllowed: (id: Bytes32) => this.images.has(id),
      imageWindow: (id: Bytes32) => [0n, this.images.has(id) ? 2n ** 64n - 1n : 0n],
      recipeOf: (id: Bytes32) => this.recipes.get(id) ?? zeroBytes32,
      notice: () => this.imageRules.notice,
      guardian: () => getAddress(this.imageRules.guardian),
      guardianUntil: () => this.imageRules.guardianUntil,
      isConfigAllowed: (id: Bytes32) => this.configs.has(id),
      areAllowed: (image: Bytes32, configId: Bytes32) => [this.images.has(image), this.configs.has(configId)],
    };
  }

  #apps({ from, block, commits }: StubCall): StubHandlers {
    const known = (app: Bytes32): StubApp => {
      const found = this.apps.get(app);
      if (found === undefined) throw revert({ errorName: 'AppRegistryAppUnknown', args: [app] });
      return found;
    };
    const owned = (app: Bytes32): StubApp => {
      const found = known(app);
      if (found.owner !== from)
        throw revert({ errorName: 'AppRegistryCallerNotOwner', args: [getAddress(from), getAddress(found.owner)] });
      return found;
    };
    const version = (app: StubApp, number: number) => {
      const found = app.versions[number - 1];
      if (found === undefined) throw new Error(`No version ${number}`);
      return { ...found, fields: { ...found.fields, vetoer: getAddress(found.fields.vetoer) } };
    };
    const servingNumber = ({ versions }: StubApp) =>
      versions.findLastIndex(({ effectiveAt, withdrawn }) => !withdrawn && effectiveAt <= block.timestamp) + 1;
    const stateOf = (app: StubApp, number: number) => {
      const found = app.versions[number - 1];
      if (found === undefined) return 0;
      if (found.withdrawn) return 4;
      if (found.effectiveAt > block.timestamp) return 1;
      return number === servingNumber(app) ? 2 : 3;
    };
    return {
      current: (app: Bytes32) => {
        const found = known(app);
        const number = servingNumber(found);
        const { manifestId, fields } = version(found, number);
        return [manifestId, number, fields];
      },
      ownerOf: (app: Bytes32) => getAddress(this.apps.get(app)?.owner ?? zeroAddress),
      versionCount: (app: Bytes32) => this.apps.get(app)?.versions.length ?? 0,
      versionOf: (app: Bytes32, number: number) => {
        const found = known(app);
        const state = stateOf(found, number);
        const [first] = found.versions;
        const none = { manifestId: zeroBytes32, effectiveAt: 0n, fields: { ...first?.fields, vetoer: zeroAddress } };
        return state === 0 ? { state, ...none } : { state, ...version(found, number) };
      },
      withdraw: (app: Bytes32, number: number) => {
        const found = owned(app);
        const last = found.versions[number - 1];
        if (last === undefined || number !== found.versions.length || last.effectiveAt <= block.timestamp)
          throw revert({ errorName: 'AppRegistryVersionNotPending', args: [app, number] });
        if (commits) Object.assign(last, { effectiveAt: 0n, withdrawn: true });
      },
      create: (salt: Bytes32, manifestId: Bytes32, fields: EnforcedFields) => {
        const app = appId(from, salt);
        if (this.apps.has(app)) throw revert({ errorName: 'AppRegistryAppExists', args: [app] });
        if (commits)
          this.apps.set(app, { owner: from, versions: [{ manifestId, fields, effectiveAt: block.timestamp }] });
        return app;
      },
      publish: (app: Bytes32, manifestId: Bytes32, fields: EnforcedFields) => {
        const found = owned(app);
        const notice = BigInt(found.versions.at(-1)?.fields.upgradeNoticeSeconds ?? 0);
        if (commits) found.versions.push({ manifestId, fields, effectiveAt: block.timestamp + notice });
        return found.versions.length + (commits ? 0 : 1);
      },
      pinImage: (app: Bytes32, imageId: Bytes32) => {
        owned(app);
        if (this.pinned.has(`${app} ${imageId}`))
          throw revert({ errorName: 'AppRegistryImagePinned', args: [app, imageId] });
        if (commits) this.pinned.add(`${app} ${imageId}`);
      },
      isImagePinned: (app: Bytes32, imageId: Bytes32) => this.pinned.has(`${app} ${imageId}`),
      raiseKeyVersions: (app: Bytes32, keyVersion: number, minKeyVersion: number) => {
        const serving = owned(app).versions.at(-1);
        if (commits) Object.assign(serving?.fields ?? {}, { keyVersion, minKeyVersion });
      },
      setSecrets: (app: Bytes32, bundleId: Bytes32) => {
        owned(app);
        if (commits) this.secrets.set(app, { bundleId, setBy: from, setAt: block.timestamp });
      },
      secretsOf: (app: Bytes32) => {
        const { bundleId, setBy, setAt } = this.secrets.get(app) ?? {
          bundleId: zeroBytes32,
          setBy: zeroAddress,
          setAt: 0n,
        };
        return [bundleId, getAddress(setBy), setAt];
      },
    };
  }
}
