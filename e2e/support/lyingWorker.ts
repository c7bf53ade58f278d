import { KeyRing, responseMediaType } from '@cloister/channel/worker';
import {
  announcementToJson,
  canonicalJson,
  commitBody,
  type Json,
  jcsId,
  type Receipt,
  receiptDigest,
  type SignedReceipt,
  signedReceiptToJson,
  type WorkerAnnouncement,
  zeroBytes32,
} from '@cloister/core';
import { concatBytes, fromHex, type SecretBytes, signDigest, toHex, utf8 } from '@cloister/crypto';
import type { RunningDevnet } from '../devnet.ts';
import { clientOf } from './apps.ts';
import { type Answered, isCall, jsonAnswer, type Relayed } from './hostileGateway.ts';
import type { UnsafeForge } from './unsafeForge.ts';

/** What it lies about: in what it signs, and in what it changes after it has signed. */
export type Lie = {
  readonly receipt?: Partial<Receipt>;
  readonly details?: { readonly [key: string]: Json };
  readonly afterwards?: (signed: SignedReceipt) => SignedReceipt;
  /** In place of the answer that it committed to. */
  readonly body?: Uint8Array;
  /** In place of its registered receipt signer. */
  readonly signer?: SecretBytes;
  /** Bytes in place of a receipt. */
  readonly trailer?: Uint8Array;
};

/**
 * A registered worker with every key that it needs, and no code: what a broken TEE could be. Whom it tells the truth
 * can't tell it from a genuine one; this is for what it can't get past a client all the same.
 */
export class LyingWorker {
  readonly announcement: WorkerAnnouncement;
  readonly #network: RunningDevnet;
  readonly #signer: SecretBytes;
  readonly #keys: KeyRing;
  lie: Lie = {};

  private constructor(
    network: RunningDevnet,
    keys: KeyRing,
    own: { readonly announcement: WorkerAnnouncement; readonly signer: SecretBytes },
  ) {
    this.#network = network;
    this.#keys = keys;
    this.#signer = own.signer;
    this.announcement = own.announcement;
  }

  static async register(network: RunningDevnet, forge: UnsafeForge): Promise<LyingWorker> {
    const { announcement, signer } = await forge.registerOwnWorker();
    const [planned] = announcement.keyConfigs;
    const keys = new KeyRing();
    const key = await keys.rotate(Number(planned?.notBefore), Number(planned?.notAfter));
    const signed = await forge.keyConfig(signer, BigInt(key.notBefore), BigInt(key.notAfter), key.config);
    return new LyingWorker(network, keys, { signer, announcement: { ...announcement, keyConfigs: [signed] } });
  }

  /** Serves it through a hostile gateway: the only worker in its directory. */
  serve = async (request: Relayed): Promise<Relayed | Answered> => {
    const { workerId } = this.announcement;
    if (request.path.split('?')[0] === '/v1/workers')
      return jsonAnswer([{ workerId, announcement: announcementToJson(this.announcement) }]);
    return isCall(request) ? this.#answer(request.body) : request;
  };

  async #answer(encapsulated: Uint8Array): Promise<Answered> {
    const { view } = clientOf(this.#network).registry;
    const head = await view.head();
    const { call, request, requestHash, inputSalt, outputSalt, response } = await this.#keys.open(
      encapsulated,
      Number(head.timestamp),
    );
    const body = utf8('an answer that no code made');
    const details = {
      kind: 'function',
      httpStatus: 200,
      simulated: true,
      route: commitBody(inputSalt, utf8(`${request.method} ${request.path}`)),
      ...this.lie.details,
    };
    const receipt: Receipt = {
      app: call.app,
      manifest: call.manifest,
      keyVersion: 1n,
      epoch: 0n,
      channel: zeroBytes32,
      sequence: 1n,
      context: call.context,
      requestHash,
      inputCommitment: commitBody(inputSalt, request.body),
      outputCommitment: commitBody(outputSalt, body),
      status: 0,
      fee: 0n,
      cumulativeFee: 0n,
      blockNumber: head.number,
      blockHash: head.hash,
      time: BigInt(Math.floor(Date.now() / 1000)),
      detailsHash: jcsId(details),
      ...this.lie.receipt,
    };
    const signed = this.#sign(receipt, details);
    const trailer =
      this.lie.trailer ?? utf8(canonicalJson(signedReceiptToJson(this.lie.afterwards?.(signed) ?? signed)));
    const sealed = [
      await response.head(200, []),
      await response.body(this.lie.body ?? body),
      await response.final(trailer),
    ];
    return { status: 200, headers: { 'content-type': responseMediaType }, body: concatBytes(...sealed) };
  }

  #sign(receipt: Receipt, details: SignedReceipt['details']): SignedReceipt {
    const { chainId, contracts } = this.#network.network;
    const digest = receiptDigest({ chainId, registry: contracts.workerRegistry }, receipt);
    return {
      format: 'cloister-receipt-1',
      chainId,
      registry: contracts.workerRegistry,
      workerId: this.announcement.workerId,
      receipt,
      signature: toHex(signDigest(this.lie.signer ?? this.#signer, fromHex(digest))),
      details,
    };
  }
}
