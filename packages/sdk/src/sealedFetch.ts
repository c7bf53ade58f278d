import {
  type Bytes32,
  describeError,
  exactPaymentIn,
  parseX402Header,
  type ReceiptStatus,
  type SignedReceipt,
  x402Headers,
  x402HeaderText,
  zeroBytes32,
} from '@cloister/core';
import { concatBytes } from '@cloister/crypto';
import type { Call } from './call.ts';
import type { AnswerEvent, CallRequest } from './callTypes.ts';
import { HeldEnd } from './heldEnd.ts';
import type { CallPaymentMethod } from './payments/callPaymentMethod.ts';
import type { ProofStep } from './steps.ts';
import type { CallPayment } from './verifyReceipt.ts';
import type { VerifiedWorker } from './verifyWorker.ts';
import type { Admitted } from './x402/paywall.ts';

/** A request's payment in place of the client's own, and the only worker that it is for. */
export type PaidBy = { readonly payment: CallPaymentMethod; readonly worker: Bytes32 };

export type SealedFetchComponents = {
  /** A call of the app; paid by the client itself unless `paidBy` says otherwise. */
  readonly newCall: (request: CallRequest, paidBy: PaidBy | undefined) => Promise<Call>;
  /** Where requests have to bring their payment; undefined where the app is free or the client pays for it. */
  readonly paywall: (signal: AbortSignal) => Promise<RequestPaywall | undefined>;
};

/** What stands between a request and an app with a price. */
export type RequestPaywall = {
  admit(header: string): Admitted;
  unpaid(url: string, reason: string, signal: AbortSignal): Promise<Response>;
  recover(admitted: Admitted, refusal: { readonly body: Uint8Array } & Pick<Done, 'route'>): Promise<void>;
};

type Done = AnswerEvent & { readonly type: 'done' };
type Head = AnswerEvent & { readonly type: 'head' };

/** Of the worker's own refusals, which are one JSON object. */
const maxRefusalBytes = 65_536;

/** What is behind an answer: whose it is and how that was proven. */
export type ExchangeReceipt = {
  readonly worker: VerifiedWorker;
  readonly receipt: SignedReceipt;
  readonly outcome: ReceiptStatus;
  readonly payment: CallPayment;
  readonly steps: readonly ProofStep[];
};

/** An answer as it comes. */
export type Exchange = {
  readonly response: Response;
  /** Once the body was read to its end and everything holds; undefined where it does not, or where nobody was called (402). Never rejects. */
  readonly receipt: Promise<ExchangeReceipt | undefined>;
};

/**
 * A `fetch` for existing HTTP clients: the request goes sealed to the app, the answer streams back, and the stream fails
 * at its end unless the receipt verifies and says what the answer's status said: an answer that broke off in the app never
 * ends like a whole one, and the last event of an event stream comes once it is proven ({@link HeldEnd}). A request that has to be paid and is not is answered by x402's 402; the payment of its repetition goes inside the seal, to the worker alone.
 */
export function createSealedFetch(components: SealedFetchComponents): typeof globalThis.fetch {
  return async (input, init) => {
    // A stream that the caller gives as a body goes out as it comes; any other body is known, and is sent whole.
    if (!(init?.body instanceof ReadableStream)) {
      const request = new Request(input, init);
      return (await exchangeOf(components, request, () => wholeBody(request))).response;
    }
    const { body, ...rest } = init;
    return (await exchangeOf(components, new Request(input, rest), async () => body)).response;
  };
}

/** The same, with the receipt of each answer. */
export function createExchange(components: SealedFetchComponents): (request: Request) => Promise<Exchange> {
  return (request) => exchangeOf(components, request, () => wholeBody(request));
}

async function wholeBody(request: Request): Promise<Uint8Array> {
  return new Uint8Array(await request.arrayBuffer());
}

async function exchangeOf(
  { newCall, paywall }: SealedFetchComponents,
  request: Request,
  bodyOf: () => Promise<NonNullable<CallRequest['body']>>,
): Promise<Exchange> {
  const url = new URL(request.url);
  const wall = await paywall(request.signal);
  const header = request.headers.get(x402Headers.signature);
  let admitted: Admitted | undefined;
  if (wall !== undefined) {
    if (header === null) return unpaid(wall, request, 'PAYMENT_REQUIRED');
    try {
      admitted = wall.admit(header);
    } catch (error) {
      return unpaid(wall, request, describeError(error));
    }
    request.headers.delete(x402Headers.signature);
  }
  const call = await newCall(
    {
      method: request.method,
      path: url.pathname + url.search,
      headers: [...request.headers],
      body: await bodyOf(),
    },
    admitted,
  );
  const leaving = new AbortController();
  const events = call.streamed(AbortSignal.any([request.signal, leaving.signal]));
  const first = await events.next();
  if (first.done || first.value.type !== 'head') throw new TypeError('The answer has no head');
  if (wall === undefined || admitted === undefined) return streamed(request, first.value, events, leaving, () => {});
  if (first.value.status === 402) return refusal(request, first.value, events, { wall, admitted });
  const head = paidHead(first.value, admitted);
  return streamed(request, head, events, leaving, (done) => checkSettlement(head, done, admitted));
}

async function unpaid(wall: RequestPaywall, request: Request, reason: string): Promise<Exchange> {
  const response = await wall.unpaid(request.url, reason, request.signal);
  return { response, receipt: Promise.resolve(undefined) };
}

async function streamed(
  request: Request,
  { status, headers }: Head,
  events: AsyncGenerator<AnswerEvent>,
  leaving: AbortController,
  check: (done: Done) => void,
): Promise<Exchange> {
  let resolve: (receipt: ExchangeReceipt | undefined) => void = () => {};
  const receipt = new Promise<ExchangeReceipt | undefined>((settle) => {
    resolve = settle;
  });
  const checkEnd = (done: Done): void => {
    const { status: ended } = done.verified;
    if (status < 400 && ended !== 'ok') throw new TypeError(`The app did not finish its answer: ${ended}`);
    check(done);
    resolve(receiptOf(done));
  };
  const bodyless = request.method === 'HEAD' || status === 204 || status === 205 || status === 304;
  // Without a body nobody would read on to the receipt: the answer waits for it here.
  if (bodyless) for await (const event of events) if (event.type === 'done') checkEnd(event);
  const heldEnd = isEventStream(headers) ? new HeldEnd() : undefined;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        for (let given = 0; given === 0; ) {
          const next = await events.next();
          if (next.done) return controller.close();
          if (next.value.type === 'done') {
            checkEnd(next.value);
            const end = heldEnd?.release();
            if (end !== undefined && end.length > 0) controller.enqueue(end);
            return controller.close();
          }
          if (next.value.type !== 'body') continue;
          const bytes = heldEnd?.push(next.value.bytes) ?? next.value.bytes;
          if (bytes.length > 0) controller.enqueue(bytes);
          given = bytes.length;
        }
      } catch (error) {
        resolve(undefined);
        controller.error(error);
      }
    },
    cancel() {
      resolve(undefined);
      leaving.abort();
      events.return(undefined).catch(() => {});
    },
  });
  const response = new Response(bodyless ? null : body, {
    status,
    headers: headers.map(([name, value]): [string, string] => [name, value]),
  });
  return { response, receipt };
}

function isEventStream(headers: Head['headers']): boolean {
  return headers.some(([name, value]) => name.toLowerCase() === 'content-type' && /^text\/event-stream\b/i.test(value));
}

function receiptOf({ receipt, verified, route }: Done): ExchangeReceipt {
  const { status: outcome, payment, steps } = verified;
  return { worker: route.worker, receipt, outcome, payment, steps: [...route.worker.steps, ...steps] };
}

/** A transfer stands in the head already, by the worker; a voucher was taken where the answer is not a 402. */
function paidHead(head: Head, { settlement }: Admitted): Head {
  if (settlement === undefined) return head;
  const headers = head.headers.filter(([name]) => name !== x402Headers.response);
  return { ...head, headers: [...headers, [x402Headers.response, x402HeaderText(settlement)]] };
}

/** What the head said of a transfer must be what the receipt says. */
function checkSettlement({ headers }: Head, { receipt }: Done, { settlement }: Admitted): void {
  if (settlement !== undefined) return;
  const shown = headers.find(([name]) => name === x402Headers.response)?.[1];
  const json = shown === undefined ? null : parseX402Header(shown, 'PAYMENT-RESPONSE');
  const { transaction } = (json ?? {}) as { transaction?: unknown };
  if (transaction !== exactPaymentIn(receipt.details)?.transaction)
    throw new TypeError('The head of the answer names another transfer than its receipt');
}

/** A 402 to a request that was paid: where the worker itself says it, the payment was refused. What the app says is the app's. */
async function refusal(
  request: Request,
  head: Head,
  events: AsyncGenerator<AnswerEvent>,
  { wall, admitted }: { readonly wall: RequestPaywall; readonly admitted: Admitted },
): Promise<Exchange> {
  const parts: Uint8Array[] = [];
  let length = 0;
  let receipt: ExchangeReceipt | undefined;
  for await (const event of events) {
    if (event.type === 'body' && length <= maxRefusalBytes) {
      length += event.bytes.length;
      parts.push(event.bytes);
    }
    if (event.type !== 'done') continue;
    receipt = receiptOf(event);
    const body = concatBytes(...parts);
    const { receipt: signed, details } = event.receipt;
    if (signed.manifest !== zeroBytes32 || length > maxRefusalBytes) break;
    await wall.recover(admitted, { body, route: event.route });
    const again = await unpaid(wall, request, refusalText(String(details.code), body));
    return { ...again, receipt: Promise.resolve(receipt) };
  }
  if (length > maxRefusalBytes) throw new TypeError(`An answer of 402 has at most ${maxRefusalBytes} bytes`);
  const response = new Response(request.method === 'HEAD' ? null : (concatBytes(...parts) as Uint8Array<ArrayBuffer>), {
    status: head.status,
    headers: paidHead(head, admitted).headers.map(([name, value]): [string, string] => [name, value]),
  });
  return { response, receipt: Promise.resolve(receipt) };
}

function refusalText(code: string, body: Uint8Array): string {
  try {
    const { message } = JSON.parse(new TextDecoder().decode(body)) as { message?: unknown };
    return `${code}: ${String(message).slice(0, 500)}`;
  } catch {
    return code;
  }
}
