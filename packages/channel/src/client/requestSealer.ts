import { equalBytes } from '@cloister/crypto';
import {
  discardEncapsulation,
  type Encapsulation,
  encapsulate,
  encodeCall,
  type SealedRequest,
  type SealRequestOptions,
  sealUnder,
} from './sealRequest.ts';

type Prepared = { readonly keyConfig: Uint8Array; readonly encapsulation: Encapsulation };

/**
 * `sealRequest` for a client that calls again and again: while one call is under way, the key agreement of the next is
 * made, so that it does not stand in that call's way. Each is used once; at most one waits, for the key that was used last.
 */
export class RequestSealer {
  #prepared: Prepared | undefined;
  #preparing = false;

  /** As `sealRequest`; the bytes and the secrets are the same in kind. Throws what it throws. */
  async seal(options: SealRequestOptions): Promise<SealedRequest> {
    const plaintext = encodeCall(options);
    const encapsulation = this.#take(options.keyConfig) ?? (await encapsulate(options.keyConfig));
    return sealUnder(encapsulation, plaintext, options.call.body);
  }

  /**
   * Makes the next call's key agreement in the next idle turn. To be called once the present request is on its way.
   * Never throws: what can't be prepared is made, and refused, when it is needed.
   */
  prepare(keyConfig: Uint8Array): void {
    if (this.#preparing || (this.#prepared !== undefined && equalBytes(this.#prepared.keyConfig, keyConfig))) return;
    this.#preparing = true;
    const kept = keyConfig.slice();
    nextTurn(() => {
      encapsulate(kept)
        .then((encapsulation) => {
          this.discard();
          this.#prepared = { keyConfig: kept, encapsulation };
        })
        .catch(() => undefined)
        .finally(() => {
          this.#preparing = false;
        });
    });
  }

  /** Overwrites what waits. */
  discard(): void {
    if (this.#prepared !== undefined) discardEncapsulation(this.#prepared.encapsulation);
    this.#prepared = undefined;
  }

  /** What waits for this key, if anything does. Nobody gets it twice. */
  #take(keyConfig: Uint8Array): Encapsulation | undefined {
    const prepared = this.#prepared;
    if (prepared === undefined || !equalBytes(prepared.keyConfig, keyConfig)) return undefined;
    this.#prepared = undefined;
    return prepared.encapsulation;
  }
}

/** After what is under way has been handed to the system: `setImmediate` where there is one, as in Node.js. */
function nextTurn(work: () => void): void {
  const immediate = (globalThis as { setImmediate?: (work: () => void) => unknown }).setImmediate;
  if (immediate === undefined) setTimeout(work, 0);
  else immediate(work);
}
