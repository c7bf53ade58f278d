import type { Address } from '@cloister/core';
import { generateSecp256k1, keccak256, type SecretBytes, toHex, utf8 } from '@cloister/crypto';
import { addressOf, signDigest } from '@cloister/crypto/native-secp256k1';

/** What was asked and answered, by the hashes of the plain bytes: `sha256(request):sha256(response)`. */
export type SignedAnswer = { readonly text: string; readonly signature: string };

const keptMs = 10 * 60_000;
const maxKept = 4_096;

/**
 * Signs answers for those who check them by the convention of NEAR AI and RedPill: a key of its own for each app and process, in memory only;
 * signatures are kept for ten minutes under the answer's id, which only its reader knows.
 */
export class AnswerSigner {
  readonly address: Address;
  readonly #key: SecretBytes;
  readonly #kept = new Map<string, { readonly text: string; readonly untilMs: number }>();

  constructor() {
    this.#key = generateSecp256k1();
    this.address = addressOf(this.#key);
  }

  /** The first answer of an id stays: whoever makes an id twice takes nothing away. */
  keep(id: string, text: string, nowMs = Date.now()): void {
    for (const [old, { untilMs }] of this.#kept) {
      if (untilMs > nowMs && this.#kept.size < maxKept) break;
      this.#kept.delete(old);
    }
    if (!this.#kept.has(id)) this.#kept.set(id, { text, untilMs: nowMs + keptMs });
  }

  /** Undefined for an id that is not kept, or not any more. */
  signed(id: string, nowMs = Date.now()): SignedAnswer | undefined {
    const kept = this.#kept.get(id);
    if (kept === undefined || kept.untilMs <= nowMs) return undefined;
    return { text: kept.text, signature: toHex(signDigest(this.#key, personalDigest(kept.text))) };
  }

  close(): void {
    this.#kept.clear();
    this.#key.wipe();
  }
}

/** The digest of a text as wallets sign it (EIP-191, version 0x45). */
function personalDigest(text: string): Uint8Array {
  const bytes = utf8(text);
  return keccak256(Buffer.concat([utf8(`\u0019Ethereum Signed Message:\n${bytes.length}`), bytes]));
}
