import {
  createSimulatedPlatform,
  type MintQuoteOptions,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
  type SimulatedPlatform,
  type SimulatedRoot,
} from '@cloister/attestation/unsafe-simulated';
import { evidenceDocument } from '@cloister/attestation/verify';
import { ChainView, RegistryReader } from '@cloister/chain';
import {
  headLengthBytes,
  headLengthOf,
  KeyRing,
  keptAnswerId,
  type OpenedRequest,
  requestStreamMediaType,
  responseMediaType,
} from '@cloister/channel/worker';
import {
  type Address,
  announcementToJson,
  type Bytes32,
  canonicalJson,
  commitBody,
  enforcedFields,
  functionManifest,
  jcsId,
  keyConfigDigest,
  keyConfigStatement,
  type Manifest,
  manifestBytes,
  manifestId,
  mrConfigIdOf,
  type NetworkFile,
  networkFileId,
  parseNetworkFile,
  type Receipt,
  type ReceiptStatus,
  type RecordDomain,
  receiptDigest,
  receiptStatuses,
  type SignedReceipt,
  signedReceiptToJson,
  type TdxImage,
  tdxImageId,
  type WorkerAnnouncement,
  workerReportData,
  zeroBytes32,
} from '@cloister/core';
import {
  addressOf,
  concatBytes,
  fromHex,
  generateSecp256k1,
  keccak256,
  randomBytes,
  type SecretBytes,
  sha256,
  signDigest,
  toHex,
  utf8,
} from '@cloister/crypto';
import { getAddress } from 'viem';
import { StubRegistries } from '../../chain/test/stubRegistries.ts';
import { StubRpc } from '../../chain/test/stubRpc.ts';

export const nowSeconds = (): number => Math.floor(Date.now() / 1000);
export const address = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
export const bytes32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;

export const image: TdxImage = {
  mrtd: new Uint8Array(48).fill(0xa1),
  rtmr0: new Uint8Array(48).fill(0xb0),
  rtmr1: new Uint8Array(48).fill(0xb1),
  rtmr2: new Uint8Array(48).fill(0xb2),
};

/** A whole network in memory under a simulated root: chain, registries, one worker, a gateway as a `fetch`. */
export class SimulatedNetwork {
  readonly root: SimulatedRoot = makeSimulatedRoot(nowSeconds());
  readonly rpc: StubRpc;
  readonly file: NetworkFile;
  readonly registries: StubRegistries;
  readonly gateway: StubGateway;
  readonly domain: RecordDomain;

  private constructor(rpc: StubRpc, changes: Partial<NetworkFile>) {
    this.rpc = rpc;
    const { spkiSha256, simulated } = this.root.trustRoot;
    this.file = parseNetworkFile({
      format: 'cloister-network-1',
      name: 'simulated',
      chainId: rpc.chainId,
      contracts: {
        timelock: address(1),
        phaToken: address(2),
        imageRegistry: address(3),
        workerRegistry: address(4),
        appRegistry: address(5),
        gatekeeperCommittee: address(6),
        epochRecords: address(7),
        payments: address(0xd1),
        stakePools: address(0xd2),
        workerBonds: address(0xd3),
        slashing: address(0xd4),
        emission: address(0xd5),
        epochRewards: address(0xd6),
        storageRent: address(0xd7),
        governor: address(0xd8),
      },
      rpcs: [rpc.url],
      gateways: ['http://127.0.0.1:1'],
      trustRoots: [{ tee: 'tdx', spkiSha256, simulated, name: this.root.root.commonName }],
      networkKeys: null,
      simulated: true,
      ...changes,
    });
    this.registries = new StubRegistries(rpc.chainId, this.file.contracts);
    this.registries.images.add(tdxImageId(image));
    this.registries.configs.add(networkFileId(this.file));
    rpc.contracts = this.registries.answer;
    for (let number = 0; number < 4; number++) rpc.mine();
    this.domain = { chainId: rpc.chainId, registry: this.file.contracts.workerRegistry };
    this.gateway = new StubGateway(this.file.gateways[0] ?? '');
  }

  static async start(changes: Partial<NetworkFile> = {}): Promise<SimulatedNetwork> {
    return new SimulatedNetwork(await new StubRpc().start(), changes);
  }

  stop(): Promise<void> {
    return this.rpc.stop();
  }

  /** A reader of its own, as each client has. */
  reader(): RegistryReader {
    return new RegistryReader(new ChainView({ chainId: this.file.chainId, rpcs: this.file.rpcs }), this.file.contracts);
  }

  /** A worker that is registered, announced and answers. */
  async addWorker(operator: Address = address(0x0a)): Promise<StubWorker> {
    const worker = new StubWorker(this, operator);
    await worker.register();
    this.gateway.workers.set(worker.workerId, worker);
    return worker;
  }

  /** An app that serves, its manifest at the gateway. */
  addApp(fields: Partial<Parameters<typeof functionManifest>[0]> = {}): { app: Bytes32; manifest: Manifest } {
    const manifest = functionManifest({ name: 'sample', code: { sha256: bytes32(0xcc), bytes: 10 }, ...fields });
    const app = toHex(randomBytes(32));
    this.publish(app, manifest);
    return { app, manifest };
  }

  /** Makes a manifest the one that an app serves. */
  publish(app: Bytes32, manifest: Manifest): void {
    const version = { manifestId: manifestId(manifest), fields: enforcedFields(manifest), effectiveAt: 0n };
    this.registries.apps.set(app, { owner: address(0x0b), versions: [version] });
    this.gateway.store(manifestBytes(manifest));
  }
}

/** What evidence is made of; every field can be made wrong. */
export type EvidenceParts = {
  readonly platform: SimulatedPlatform;
  readonly image: TdxImage;
  readonly mrConfigId: Uint8Array;
  readonly reportData: Uint8Array;
  readonly quote: MintQuoteOptions;
};

/** What a worker's code answers. */
export type StubAnswer = {
  readonly status?: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: readonly Uint8Array[];
  readonly outcome?: ReceiptStatus;
  /** Zero: the worker itself answers. */
  readonly manifest?: Bytes32;
  /** Why the worker itself refuses. */
  readonly code?: string;
  /** What the sandbox is said to have measured. */
  readonly metering?: Readonly<Record<string, number>>;
  /** What the receipt's details say besides. */
  readonly details?: SignedReceipt['details'];
};

type KeptAnswer = {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: readonly Uint8Array[];
  readonly receipt: SignedReceipt;
};

/** A worker with real keys, evidence, seals and receipts; only the sandbox in it is a function of the test. */
export class StubWorker {
  readonly network: SimulatedNetwork;
  readonly operator: Address;
  readonly keys = new KeyRing();
  signer: SecretBytes = generateSecp256k1();
  platformId: Bytes32 = bytes32(0x1c);
  workerId: Bytes32 = zeroBytes32;
  /** How often code ran: kept answers are not run again. */
  runs = 0;
  /** Of a streamed body, it takes no more than the part with this many bytes. */
  takesBytes = Number.POSITIVE_INFINITY;
  run: (opened: OpenedRequest) => StubAnswer | Promise<StubAnswer> = () => ({ body: [utf8('answer')] });
  /** Changes a receipt before it is signed, as a worker that lies would. */
  editReceipt: (receipt: Receipt) => Receipt = (receipt) => receipt;
  /** Changes a signed receipt, as someone on the way would if he could open the seal. */
  editSigned: (signed: SignedReceipt) => SignedReceipt = (signed) => signed;
  readonly #kept = new Map<Bytes32, KeptAnswer>();
  #sequence = 0n;
  #announcement: WorkerAnnouncement | undefined;

  constructor(network: SimulatedNetwork, operator: Address) {
    this.network = network;
    this.operator = operator;
  }

  get announcement(): WorkerAnnouncement {
    if (this.#announcement === undefined) throw new Error('The worker is not registered');
    return this.#announcement;
  }

  set announcement(announcement: WorkerAnnouncement) {
    this.#announcement = announcement;
  }

  get receiptSigner(): Address {
    return addressOf(this.signer);
  }

  /** Registers with the chain and announces evidence, key and all. */
  async register(): Promise<void> {
    const leaseUntil = BigInt(nowSeconds() + 3_600);
    const { registries, rpc, file } = this.network;
    this.workerId = registries.activate(this.operator, 0n, this.receiptSigner, leaseUntil);
    rpc.logs.push(
      registries.keepRecord(
        this.workerId,
        {
          operator: getAddress(this.operator),
          receiptSigner: getAddress(this.receiptSigner),
          teeType: 2,
          kinds: 1,
          attestedBy: 1,
          simulated: true,
          imageId: tdxImageId(image),
          configId: networkFileId(file),
          platformId: this.platformId,
          platformKey: bytes32(0x1d),
          tcb: bytes32(0x1e),
          networkKeysHash: zeroBytes32,
        },
        0n,
      ),
    );
    this.announcement = {
      format: 'cloister-worker-1',
      workerId: this.workerId,
      operator: this.operator,
      receiptSigner: this.receiptSigner,
      attestedBlock: 2n,
      kinds: ['function'],
      evidence: this.evidence(),
      keyConfigs: [await this.newKey()],
      quote: null,
    };
  }

  /** What a restart does: another receipt signer, nothing kept, registered anew. */
  async restart(): Promise<void> {
    this.signer = generateSecp256k1();
    this.#sequence = 0n;
    this.#kept.clear();
    this.keys.wipe();
    await this.register();
  }

  /** Evidence document; good unless parts are given. */
  evidence(parts: Partial<EvidenceParts> = {}): WorkerAnnouncement['evidence'] {
    const { root, file, domain, rpc } = this.network;
    const now = nowSeconds();
    const binding = {
      ...domain,
      operator: this.operator,
      receiptSigner: this.receiptSigner,
      networkKeysHash: zeroBytes32,
    };
    const platform = parts.platform ?? createSimulatedPlatform(root, { now });
    const quote = mintQuote(
      platform,
      {
        ...(parts.image ?? image),
        mrConfigId: parts.mrConfigId ?? mrConfigIdOf(networkFileId(file)),
        reportData: parts.reportData ?? workerReportData(binding, rpc.blocks[2]?.hash ?? zeroBytes32),
      },
      parts.quote,
    );
    const document = evidenceDocument(quote, mintCollateral(platform.root, { issuedAt: now - 3600 }));
    return { ...document, collateral: { ...document.collateral } };
  }

  /** A new key, signed; with other times or another signer where given. */
  async newKey(
    changes: { notBefore?: bigint; notAfter?: bigint; signer?: SecretBytes; domain?: RecordDomain } = {},
  ): Promise<WorkerAnnouncement['keyConfigs'][number]> {
    const leaseUntil = this.network.registries.workers.get(this.workerId)?.leaseUntil ?? 0n;
    const key = await this.keys.rotate(nowSeconds() - 10, Number(leaseUntil));
    const notBefore = changes.notBefore ?? BigInt(key.notBefore);
    const notAfter = changes.notAfter ?? BigInt(key.notAfter);
    const digest = keyConfigDigest(
      changes.domain ?? this.network.domain,
      keyConfigStatement(key.config, notBefore, notAfter),
    );
    const signature = toHex(signDigest(changes.signer ?? this.signer, fromHex(digest)));
    return { config: toHex(key.config), notBefore, notAfter, signature };
  }

  /** The sealed answer to a sealed request, chunk by chunk. Throws what the key ring throws. */
  async serve(encapsulated: Uint8Array): Promise<Uint8Array[]> {
    return this.#serve(await this.keys.open(encapsulated, nowSeconds()));
  }

  /** The same for a request with a streamed body, of which it takes at most so many bytes. */
  async serveStreamed(bytes: Uint8Array): Promise<Uint8Array[]> {
    const headEnd = headLengthBytes + headLengthOf(bytes);
    const opened = await this.keys.open(bytes.slice(headLengthBytes, headEnd), nowSeconds());
    const rest = (async function* () {
      yield bytes.subarray(headEnd);
    })();
    const parts: Uint8Array[] = [];
    for await (const part of opened.input?.read(rest, { maxBytes: 1e9 }) ?? []) {
      parts.push(part);
      if (concatBytes(...parts).length >= this.takesBytes) break;
    }
    opened.input?.close();
    return this.#serve({ ...opened, request: { ...opened.request, body: concatBytes(...parts) } });
  }

  async #serve(opened: OpenedRequest): Promise<Uint8Array[]> {
    const key = keptAnswerId(opened.call);
    const kept = this.#kept.get(key) ?? (await this.#answer(opened));
    this.#kept.set(key, kept);
    const chunks = [await opened.response.head(kept.status, kept.headers)];
    for (const part of kept.body) chunks.push(await opened.response.body(part));
    chunks.push(await opened.response.final(utf8(canonicalJson(signedReceiptToJson(this.editSigned(kept.receipt))))));
    return chunks;
  }

  async #answer(opened: OpenedRequest): Promise<KeptAnswer> {
    this.runs += 1;
    const {
      status = 200,
      headers = [],
      body = [],
      outcome = 'ok',
      manifest,
      code,
      metering,
      details: more,
    } = await this.run(opened);
    const { call, request, input } = opened;
    const { requestHash } = input?.progress ?? opened;
    const route = commitBody(opened.inputSalt, utf8(`${request.method} ${request.path}`));
    const kind =
      code === undefined
        ? { kind: 'function', httpStatus: status, ...(metering && { metering }) }
        : { kind: 'worker', code };
    const streamed = input && { request: { chunks: input.chunks, whole: input.whole } };
    const details = { ...kind, route, ...streamed, ...more };
    this.#sequence += 1n;
    const receipt = this.editReceipt({
      app: call.app,
      manifest: manifest ?? call.manifest,
      keyVersion: 1n,
      epoch: 5n,
      channel: zeroBytes32,
      sequence: this.#sequence,
      context: call.context,
      requestHash,
      inputCommitment: commitBody(opened.inputSalt, request.body),
      outputCommitment: commitBody(opened.outputSalt, concatBytes(...body)),
      status: receiptStatuses[outcome],
      fee: 0n,
      cumulativeFee: 0n,
      blockNumber: this.network.rpc.head.number,
      blockHash: this.network.rpc.head.hash,
      time: BigInt(nowSeconds()),
      detailsHash: jcsId(details),
    });
    return { status, headers, body, receipt: this.sign(receipt, details) };
  }

  sign(receipt: Receipt, details: SignedReceipt['details'], signer = this.signer): SignedReceipt {
    return {
      format: 'cloister-receipt-1',
      ...this.network.domain,
      workerId: this.workerId,
      receipt,
      signature: toHex(signDigest(signer, fromHex(receiptDigest(this.network.domain, receipt)))),
      details,
    };
  }
}

/** What a gateway may do to one call instead of relaying it. */
export type CallFault = (worker: StubWorker, encapsulated: Uint8Array) => Promise<Response> | Response;

/** A gateway as a `fetch`: directory, blobs, relay. It does to calls what `faults` say, one after the other. */
export class StubGateway {
  readonly url: string;
  readonly workers = new Map<Bytes32, StubWorker>();
  readonly blobs = new Map<string, Uint8Array>();
  /** One for each call that comes; undefined relays honestly. */
  readonly faults: (CallFault | undefined)[] = [];
  readonly calls: { readonly workerId: Bytes32; readonly bytes: Uint8Array }[] = [];
  /** What it lists, in place of what its workers announced. */
  directory: () => readonly unknown[] = () =>
    [...this.workers.values()].map(({ announcement }) => ({ announcement: announcementToJson(announcement) }));
  /** What it passes on of the committee's statements; undefined where it has none. */
  statement: (signer: Address) => unknown = () => undefined;
  /** Blobs that it does not take. */
  refuses: (bytes: Uint8Array) => boolean = () => false;
  /** Calls whose client has left before the answer was there. */
  left = 0;

  constructor(url: string) {
    this.url = url;
  }

  store(bytes: Uint8Array): Bytes32 {
    const id = toHex(sha256(bytes));
    this.blobs.set(id, bytes);
    return id;
  }

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    // The caller's own signal: a Request holds on to it too weakly to outlive a garbage collection.
    const signal = init?.signal ?? undefined;
    signal?.throwIfAborted();
    const { pathname, origin } = new URL(request.url);
    if (origin !== this.url) throw new TypeError('fetch failed');
    const [, , kind, id = '', action] = pathname.split('/');
    if (kind === 'workers' && action === 'call') return this.#call(id as Bytes32, request, signal);
    if (kind === 'workers' && id !== '') {
      const announcement = this.workers.get(id as Bytes32)?.announcement;
      return announcement === undefined
        ? new Response(null, { status: 404 })
        : Response.json(announcementToJson(announcement));
    }
    if (kind === 'workers') return Response.json(this.directory());
    if (kind === 'about') return Response.json({ format: 'cloister-gateway-1', payTo: null });
    if (pathname === '/healthz') return Response.json({ ok: true });
    if (kind === 'statements') {
      const statement = this.statement(id as Address);
      return statement === undefined ? new Response(null, { status: 503 }) : Response.json(statement);
    }
    if (kind !== 'blobs') return new Response(null, { status: 404 });
    if (request.method === 'PUT') {
      const bytes = new Uint8Array(await request.arrayBuffer());
      if (this.refuses(bytes)) return new Response('disk full', { status: 507 });
      this.blobs.set(id, bytes);
      return new Response(null, { status: 201 });
    }
    const blob = this.blobs.get(id);
    return blob === undefined ? new Response(null, { status: 404 }) : new Response(Uint8Array.from(blob));
  };

  async #call(id: Bytes32, request: Request, signal: AbortSignal | undefined): Promise<Response> {
    const bytes = new Uint8Array(await request.arrayBuffer());
    this.calls.push({ workerId: id, bytes });
    signal?.addEventListener('abort', () => this.left++, { once: true });
    const worker = this.workers.get(id);
    if (worker === undefined) return new Response(null, { status: 503 });
    const fault = this.faults.shift();
    if (fault !== undefined) return untilAborted(Promise.resolve(fault(worker, bytes)), signal);
    try {
      const isStreamed = request.headers.get('content-type') === requestStreamMediaType;
      return sealedResponse(await (isStreamed ? worker.serveStreamed(bytes) : worker.serve(bytes)));
    } catch {
      return keyProblem();
    }
  }
}

/** As a real fetch: an abort ends the wait, and the body with it. */
async function untilAborted(answer: Promise<Response>, signal = new AbortController().signal): Promise<Response> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  const response = await Promise.race([answer, aborted]);
  if (response.body === null) return response;
  const reader = response.body.getReader();
  signal.addEventListener('abort', () => void reader.cancel(signal.reason).catch(() => {}), { once: true });
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await Promise.race([reader.read(), aborted]);
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, response);
}

/** A sealed answer in these pieces; an Error among them breaks the connection there. */
export function sealedResponse(chunks: readonly (Uint8Array | Error)[]): Response {
  const left = [...chunks];
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = left.shift();
      if (next === undefined) controller.close();
      else if (next instanceof Error) controller.error(next);
      else controller.enqueue(next);
    },
  });
  return new Response(body, { status: 200, headers: { 'content-type': responseMediaType } });
}

export function keyProblem(): Response {
  return new Response(
    JSON.stringify({ type: 'https://iana.org/assignments/http-problem-types#ohttp-key', title: 'The key is outdated' }),
    { status: 400, headers: { 'content-type': 'application/problem+json' } },
  );
}

export const keccakOf = (bytes: Uint8Array): Bytes32 => toHex(keccak256(bytes));
