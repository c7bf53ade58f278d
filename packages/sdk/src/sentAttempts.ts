import type { SealedRequest } from '@cloister/channel/client';
import { type SignedReceipt, zeroBytes32 } from '@cloister/core';
import { keccak256, toHex } from '@cloister/crypto';
import type { SentRequest } from './callTypes.ts';
import type { ExpectedReceipt, SealedAttempt } from './verifyReceipt.ts';

/** What was sealed; `stream` is what came after its head, where the body is streamed. */
type SentAttempt = { readonly sealed: SealedAttempt } & Pick<SealedRequest, 'stream'>;

/** All requests that were sent of one call: its receipt is of one of them. */
export class SentAttempts {
  readonly #sent: SentAttempt[] = [];

  add({ requestHash, inputSalt, outputSalt, stream }: SealedRequest): void {
    this.#sent.push({ sealed: { requestHash, inputSalt, outputSalt }, stream });
  }

  /** What a receipt can be about: of a streamed body, as much as it says that the worker has taken. */
  expectedBy(
    signed: SignedReceipt,
    request: SentRequest,
    isStreamed: boolean,
  ): Pick<ExpectedReceipt, 'attempts' | 'requestBodyHash'> {
    if (!isStreamed)
      return { attempts: this.#sent.map(({ sealed }) => sealed), requestBodyHash: toHex(keccak256(request.body)) };
    const { chunks } = (signed.details.request ?? {}) as { readonly chunks?: unknown };
    const sent = this.#sent.flatMap(({ sealed, stream }) => {
      const progress = typeof chunks === 'number' ? stream?.after(chunks) : undefined;
      if (progress === undefined) return [];
      return [{ attempt: { ...sealed, requestHash: progress.requestHash }, bodyHash: progress.bodyHash }];
    });
    // Where a request was said to be refused and another was sent, the answer may be to the first all the same.
    const found = sent.find(({ attempt }) => attempt.requestHash === signed.receipt.requestHash) ?? sent.at(-1);
    if (found === undefined) return { attempts: [], requestBodyHash: zeroBytes32 };
    return { attempts: [found.attempt], requestBodyHash: found.bodyHash };
  }
}
