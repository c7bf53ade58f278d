import path from 'node:path';
import { fullEvidence, platformOfQuote } from '@cloister/attestation/onchain';
import {
  createSimulatedPlatform,
  loadSimulatedRoot,
  makeSimulatedRoot,
  type SimulatedRoot,
  SimulatedTdxDevice,
} from '@cloister/attestation/unsafe-simulated';
import { quoteOf } from '@cloister/attestation/verify';
import { intelContractsOf, registerPck, workerRegistryAbi } from '@cloister/chain';
import {
  type Address,
  type Bytes32,
  type Hex,
  keyConfigDigest,
  keyConfigStatement,
  networkFileId,
  networkKeysHash,
  teeTypes,
  type WorkerAnnouncement,
  workerReportData,
  zeroAddress,
  zeroBytes32,
} from '@cloister/core';
import { addressOf, engine, fromHex, generateSecp256k1, type SecretBytes, signDigest, toHex } from '@cloister/crypto';
import type { VerifiedWorker } from '@cloister/sdk';
import type { RunningDevnet } from '../devnet.ts';
import { spareOperator } from './accounts.ts';
import { clientOf } from './apps.ts';
import { ChainControl } from './chainControl.ts';

export type Image = { readonly mrtd: Hex; readonly rtmr0: Hex; readonly rtmr1: Hex; readonly rtmr2: Hex };

export type ForgedEvidence = {
  readonly operator: Address;
  readonly receiptSigner: Address;
  readonly image?: Image;
  /** Id of the network file that the quote names. */
  readonly configId?: Bytes32;
  readonly chainId?: number;
  /** Hash in place of the attested block's. */
  readonly blockHash?: Hex;
  /** Another made-up manufacturer. */
  readonly root?: SimulatedRoot;
};

type Evidence = WorkerAnnouncement['evidence'];

/**
 * Makes evidence as whoever holds the keys of a network's DEV root can: they lie open in its data folder, which is why
 * simulated evidence proves nothing. For showing that everything else about a worker is checked all the same.
 */
export class UnsafeForge {
  readonly #network: RunningDevnet;
  readonly #root: SimulatedRoot;
  readonly #image: Image;

  private constructor(network: RunningDevnet, root: SimulatedRoot, image: Image) {
    this.#network = network;
    this.#root = root;
    this.#image = image;
  }

  /** With the network's own root, and the image of a worker that it has. */
  static async open(network: RunningDevnet, genuine: VerifiedWorker): Promise<UnsafeForge> {
    if (genuine.claims.teeType !== 'tdx') throw new Error(`Expected a TD, got "${genuine.claims.teeType}"`);
    const { mrtd, rtmr0, rtmr1, rtmr2 } = genuine.claims;
    const root = await loadSimulatedRoot(path.join(network.data, 'unsafe-dev-tee'));
    return new UnsafeForge(network, root, { mrtd, rtmr0, rtmr1, rtmr2 });
  }

  /** A root named DEV that no network trusts. */
  static foreignRoot(): SimulatedRoot {
    return makeSimulatedRoot(Math.floor(Date.now() / 1000));
  }

  /** Evidence of genuine form that says what it is told to say, and the block that it names. */
  async evidence(forged: ForgedEvidence): Promise<{ readonly evidence: Evidence; readonly attestedBlock: bigint }> {
    const { attestedBlock, document } = await this.#quote(forged);
    return { evidence: { ...document, collateral: { ...document.collateral } }, attestedBlock };
  }

  /** A key configuration of this forge's own, signed by a receipt signer. Times in unix seconds. */
  async keyConfig(
    signer: SecretBytes,
    notBefore: bigint,
    notAfter: bigint,
    config?: Uint8Array,
  ): Promise<WorkerAnnouncement['keyConfigs'][number]> {
    if (config === undefined) {
      const { publicKey } = await engine.generateX25519();
      config = Uint8Array.of(7, 0, 0x20, ...publicKey, 0, 4, 0, 1, 0, 2);
    }
    const { chainId, contracts } = this.#network.network;
    const domain = { chainId, registry: contracts.workerRegistry };
    const signature = signDigest(
      signer,
      fromHex(keyConfigDigest(domain, keyConfigStatement(config, notBefore, notAfter))),
    );
    return { config: toHex(config), notBefore, notAfter, signature: toHex(signature) };
  }

  /**
   * Registers a worker that does not run, under an operator of its own: its receipt signer is in our hands. What a broken
   * TEE could do.
   */
  async registerOwnWorker(): Promise<{ readonly announcement: WorkerAnnouncement; readonly signer: SecretBytes }> {
    const operator = spareOperator(this.#network);
    const client = clientOf(this.#network);
    const { contracts } = this.#network.network;
    const account = new ChainControl(this.#network).account(operator);
    const registry = { address: contracts.workerRegistry, abi: workerRegistryAbi } as const;
    const index = await client.registry.enrolledCount(operator.address);
    await account.write({ ...registry, functionName: 'enroll', args: [] });
    const workerId = await client.registry.workerIdOf(operator.address, index);
    const signer = generateSecp256k1();
    const receiptSigner = addressOf(signer);
    const { document, attestedBlock } = await this.#quote({ operator: operator.address, receiptSigner });
    const quote = quoteOf(document);
    const { platformKey, certificate } = platformOfQuote(quote);
    const policy = await client.registry.teePolicy(teeTypes.tdx);
    const { view } = client.registry;
    const intel = await intelContractsOf(view, policy?.verifier ?? zeroAddress);
    const platform = { platformKey: toHex(platformKey) as Bytes32, certificate: toHex(certificate) };
    await registerPck(account, view, intel, platform);
    await account.write({
      ...registry,
      functionName: 'register',
      args: [index, receiptSigner, 1, attestedBlock, teeTypes.tdx, fullEvidence(quote)],
    });
    const { leaseUntil } = await client.registry.workerStatus(workerId);
    const now = (await client.registry.view.head()).timestamp;
    return {
      signer,
      announcement: {
        format: 'cloister-worker-1',
        workerId,
        operator: operator.address,
        receiptSigner,
        attestedBlock,
        kinds: ['function'],
        evidence: { ...document, collateral: { ...document.collateral } },
        keyConfigs: [await this.keyConfig(signer, now - 1n, leaseUntil)],
        quote: null,
      },
    };
  }

  async #quote(forged: ForgedEvidence) {
    const { network } = this.#network;
    const { view } = clientOf(this.#network).registry;
    const head = await view.head();
    const attestedBlock = head.number - 1n;
    const block = await view.blockAt(attestedBlock);
    const root = forged.root ?? this.#root;
    const image = forged.image ?? this.#image;
    const device = new SimulatedTdxDevice({
      platform: createSimulatedPlatform(root, { now: Math.floor(Date.now() / 1000) }),
      image: {
        mrtd: fromHex(image.mrtd),
        rtmr0: fromHex(image.rtmr0),
        rtmr1: fromHex(image.rtmr1),
        rtmr2: fromHex(image.rtmr2),
      },
      configId: forged.configId ?? networkFileId(network),
    });
    const binding = {
      chainId: forged.chainId ?? network.chainId,
      registry: network.contracts.workerRegistry,
      operator: forged.operator,
      receiptSigner: forged.receiptSigner,
      networkKeysHash: network.networkKeys === null ? zeroBytes32 : networkKeysHash(network.networkKeys),
    };
    const reportData = workerReportData(binding, forged.blockHash ?? block.hash);
    return { attestedBlock, document: await device.quote(reportData, { signal: AbortSignal.timeout(10_000) }) };
  }
}
