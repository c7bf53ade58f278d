import type { Bytes32, CertifiedStateHead } from '@cloister/core';
import { zeroBytes32 } from '@cloister/core';
import { SecretBytes, sha256, toHex } from '@cloister/crypto';
import type { HeldFence, StateBlobs, StateStoreComponents, StateSubject } from '@cloister/state';
import { expect } from 'vitest';

export const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
export const subject: StateSubject = { app: b32(1), partition: 3, manifest: b32(2), keyVersion: 1 };
export const signal = new AbortController().signal;
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);
export const code = (value: string) => expect.objectContaining({ code: value });

export class MemoryBlobs implements StateBlobs {
  readonly held = new Map<Bytes32, Uint8Array>();
  reads = 0;
  async put(id: Bytes32, content: Uint8Array): Promise<void> {
    if (toHex(sha256(content)) !== id) throw new Error('Bytes of another address');
    this.held.set(id, content.slice());
  }
  async get(id: Bytes32): Promise<Uint8Array | undefined> {
    this.reads += 1;
    return this.held.get(id);
  }
}

/** A committee that signs whatever it is shown, or does what a test says instead. */
export class EasyCommittee {
  head: CertifiedStateHead = {
    app: subject.app,
    partition: subject.partition,
    version: 0n,
    fence: 0n,
    root: zeroBytes32,
    signature: `0x${'aa'.repeat(96)}`,
  };
  /** Throws instead of the next answer; `signs` says whether it has signed all the same. */
  fails: { readonly error: Error; readonly signs: boolean } | undefined;
  confirms: () => Promise<void> = async () => {};

  async take(): Promise<HeldFence> {
    this.head = { ...this.head, fence: this.head.fence + 1n };
    return { promises: [], head: this.head };
  }

  async add(_: StateSubject, held: HeldFence, root: Bytes32): Promise<HeldFence> {
    const next = { ...held.head, version: held.head.version + 1n, root };
    const { fails } = this;
    this.fails = undefined;
    if (fails === undefined || fails.signs) this.head = next;
    if (fails !== undefined) throw fails.error;
    return { ...held, head: next };
  }

  confirm(): Promise<void> {
    return this.confirms();
  }
}

export async function keyOf(keyVersion: number): Promise<SecretBytes> {
  return new SecretBytes(new Uint8Array(32).fill(0x40 + keyVersion));
}

export function componentsOf(committee: EasyCommittee, blobs: StateBlobs): StateStoreComponents {
  return { committee, blobs, keyOf };
}
