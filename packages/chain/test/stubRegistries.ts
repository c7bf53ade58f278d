import { appRegistryAbi, contractErrorsAbi, imageRegistryAbi, workerRegistryAbi } from '@cloister/chain';
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
import { type Abi, decodeFunctionData, encodeErrorResult, encodeFunctionResult, getAddress } from 'viem';
import { type StubCall, StubRevert } from './stubRpc.ts';

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
  versions: { manifestId: Bytes32; fields: EnforcedFields; effectiveAt: bigint }[];
};

type Refusal = { readonly errorName: string; readonly args: readonly unknown[] };

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
  /** 1: the chain checked the evidence itself. */
  attestedBy = 1;
  readonly recordHashes = new Map<Bytes32, Bytes32>();
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
  }

  /** Makes a worker active, as its registration would. */
  activate(operator: Address, index: bigint, receiptSigner: Address, leaseUntil: bigint): Bytes32 {
    const id = workerId(this.#chainId, this.#contracts.workerRegistry, operator, index);
    this.workers.set(id, { operator, receiptSigner, leaseUntil, state: 'active', kinds: 1 });
    this.workerOf.set(receiptSigner, id);
    return id;
  }

  /** What reads at this block and before go on seeing, whatever changes from now on. */
  freeze(upTo: bigint): void {
    const workers = new Map([...this.workers].map(([id, worker]) => [id, { ...worker }]));
    this.#history.push({ upTo, workers });
  }

  readonly answer = (call: StubCall): Hex => {
    const { workerRegistry, imageRegistry, appRegistry } = this.#contracts;
    if (call.to === workerRegistry) return this.#dispatch(workerRegistryAbi, call, this.#workers(call));
    if (call.to === imageRegistry) return this.#dispatch(imageRegistryAbi, call, this.#images());
    if (call.to === appRegistry) return this.#dispatch(appRegistryAbi, call, this.#apps(call));
    return '0x';
  };

  #dispatch(abi: Abi, call: StubCall, handlers: Record<string, (...args: never[]) => unknown>): Hex {
    const { functionName, args = [] } = decodeFunctionData({ abi, data: call.data });
    const handler = handlers[functionName];
    if (handler === undefined) throw new Error(`The stub has no ${functionName}`);
    const result = handler(...(lowerCase(args) as never[]));
    return encodeFunctionResult({ abi, functionName, result } as Parameters<typeof encodeFunctionResult>[0]);
  }

  #workers({ block, from, commits, at }: StubCall): Record<string, (...args: never[]) => unknown> {
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
        teeType === teeTypes.tdx ? this.teePolicy : { ...this.teePolicy, verifier: zeroAddress },
      simulatedAllowed: () => true,
      genesis: () => this.genesis,
      epochLength: () => Number(this.epochLength),
      roundLength: () => Number(this.roundLength),
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

  #images(): Record<string, (...args: never[]) => unknown> {
    return {
      isPlatformBlocked: (platformId: Bytes32) => this.blockedPlatforms.has(platformId),
      isImageAllowed: (id: Bytes32) => this.images.has(id),
      isConfigAllowed: (id: Bytes32) => this.configs.has(id),
    };
  }

  #apps({ from, block, commits }: StubCall): Record<string, (...args: never[]) => unknown> {
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
    return {
      current: (app: Bytes32) => {
        const found = known(app);
        const number = found.versions.findLastIndex(({ effectiveAt }) => effectiveAt <= block.timestamp) + 1;
        const { manifestId, fields } = version(found, number);
        return [manifestId, number, fields];
      },
      ownerOf: (app: Bytes32) => getAddress(this.apps.get(app)?.owner ?? zeroAddress),
      versionCount: (app: Bytes32) => known(app).versions.length,
      versionOf: (app: Bytes32, number: number) => ({ state: 2, ...version(known(app), number) }),
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

/** viem gives addresses with checksums; the maps are keyed by lower case. */
function lowerCase(value: unknown): unknown {
  if (typeof value === 'string') return value.toLowerCase();
  if (Array.isArray(value)) return value.map(lowerCase);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, lowerCase(inner)]));
  return value;
}

export function revert({ errorName, args }: Refusal): StubRevert {
  return new StubRevert(
    encodeErrorResult({ abi: contractErrorsAbi, errorName, args } as unknown as Parameters<
      typeof encodeErrorResult
    >[0]),
  );
}
