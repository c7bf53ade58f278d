import {
  type AppRequest,
  type CallHeaders,
  requestMediaType,
  type SealedRequest,
  sealRequest,
} from '@cloister/channel/client';
import {
  maxSignedReceiptBytes,
  parseBoundedJson,
  receiptDigest,
  type SignedReceipt,
  signedReceiptFromJson,
  sleep,
  zeroBytes32,
} from '@cloister/core';
import { concatBytes, fromHex, randomBytes, recoverAddress, SecretBytes, toBase64Url } from '@cloister/crypto';
import type { CloisterClient, VerifiedWorker } from '@cloister/sdk';

/** A sealed call below the SDK: for what the SDK itself would never send. */
export type RawCall = Partial<CallHeaders> & Pick<CallHeaders, 'app'> & { readonly request?: Partial<AppRequest> };

export type RawAnswer = {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  /** Its signature was checked to be that of the worker's receipt signer. */
  readonly receipt: SignedReceipt;
};

/** What came back in the clear in place of a sealed answer. */
export type RawProblem = {
  readonly status: number;
  readonly contentType: string;
  /** RFC 9457 type of the worker's problems. */
  readonly type: string;
  /** Code of the gateway's problems. */
  readonly code: string;
};

/** The first worker that verifies; with an id, that one. Waits a little: it may have registered a moment ago. */
export async function verifiedWorker(client: CloisterClient, workerId?: string): Promise<VerifiedWorker> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const listed = (await client.workers()).filter(
      ({ announcement }) => workerId === undefined || announcement.workerId === workerId,
    );
    const found = listed.find(({ verified }) => verified !== undefined)?.verified;
    if (found !== undefined) return found;
    const reasons = listed.map(({ refusal }) => refusal?.message).join('; ');
    if (Date.now() > deadline)
      throw new Error(`No such worker verifies: ${workerId ?? 'any'} (${reasons || 'not listed'})`);
    await sleep(500);
  }
}

export function sealRaw(worker: Pick<VerifiedWorker, 'keyConfig'>, call: RawCall): Promise<SealedRequest> {
  const { request, ...headers } = call;
  return sealRequest({
    keyConfig: worker.keyConfig,
    call: {
      manifest: zeroBytes32,
      callId: toBase64Url(randomBytes(16)),
      clientKey: new SecretBytes(randomBytes(32)),
      context: zeroBytes32,
      maxFee: 0n,
      ...headers,
    },
    request: { method: 'GET', path: '/', headers: [], body: new Uint8Array(), ...request },
  });
}

/** Posts bytes as a sealed request. */
export function postRaw(
  gateway: string,
  workerId: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = { 'content-type': requestMediaType },
): Promise<Response> {
  return fetch(`${gateway}/v1/workers/${workerId}/call`, {
    method: 'POST',
    headers,
    body: new Blob([body as Uint8Array<ArrayBuffer>]),
    signal: AbortSignal.timeout(20_000),
  });
}

/** What a response says where it is no sealed answer. */
export async function problemIn(response: Response): Promise<RawProblem> {
  const contentType = response.headers.get('content-type') ?? '';
  const text = await response.text();
  const { type = '', code = '' } = contentType === 'application/problem+json' ? JSON.parse(text) : {};
  return { status: response.status, contentType, type, code };
}

/** Makes a call below the SDK and reads the whole answer. */
export async function callRaw(
  client: CloisterClient,
  gateway: string,
  worker: VerifiedWorker,
  call: RawCall,
): Promise<RawAnswer> {
  const sealed = await sealRaw(worker, call);
  const response = await postRaw(gateway, worker.workerId, sealed.encapsulated);
  if (response.status !== 200 || response.body === null)
    throw new Error(`Got ${response.status} in place of a sealed answer: ${await response.text()}`);
  return openRaw(client, worker, sealed, response.body);
}

/** Opens a sealed answer and checks who signed its receipt. */
export async function openRaw(
  client: CloisterClient,
  worker: VerifiedWorker,
  sealed: SealedRequest,
  bytes: AsyncIterable<Uint8Array>,
): Promise<RawAnswer> {
  const parts: Uint8Array[] = [];
  let head: Pick<RawAnswer, 'status' | 'headers'> | undefined;
  for await (const event of sealed.openResponse().read(bytes, { signal: AbortSignal.timeout(30_000) })) {
    if (event.type === 'head') head = event;
    else if (event.type === 'body') parts.push(event.bytes);
    else {
      const receipt = signedReceiptFromJson(parseBoundedJson(event.trailer, maxSignedReceiptBytes, 'signed receipt'));
      const { chainId, contracts } = client.network;
      const digest = receiptDigest({ chainId, registry: contracts.workerRegistry }, receipt.receipt);
      const signer = recoverAddress(fromHex(digest), fromHex(receipt.signature));
      if (signer !== worker.receiptSigner) throw new Error(`The receipt is signed by ${signer}`);
      if (head === undefined) throw new Error('The answer has no head');
      return { ...head, body: concatBytes(...parts), receipt };
    }
  }
  throw new Error('The answer has no end');
}
