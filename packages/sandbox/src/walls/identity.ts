import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The user and group that a process runs as. */
export type Identity = { readonly uid: number; readonly gid: number };

// Far above the users of any system and those of containers' user namespaces (subuid(5) starts at 100000).
const preferredFirst = 0x7000_0000;
const preferredCount = 0x0800_0000;

/** Hands out user ids that nothing else on this machine has, each at most once in the life of this process. */
export class IdentityPool {
  readonly #first: number;
  readonly #count: number;
  readonly #used = new Set<number>();

  /** The range is what `uidMap` (the text of /proc/self/uid_map) allows: in a container it may be small. */
  constructor(uidMap: string = readUidMap()) {
    const highest = Math.max(0, ...uidMap.split('\n').map(endOfRange));
    const fits = highest >= preferredFirst + preferredCount;
    this.#first = fits ? preferredFirst : Math.max(1, Math.floor(highest / 2));
    this.#count = fits ? preferredCount : Math.max(1, highest - this.#first);
  }

  take(): Identity {
    // Random, so that several workers of one machine don't meet.
    for (let attempt = 0; attempt < 64; attempt += 1) {
      const id = this.#first + randomInt(this.#count);
      if (this.#used.has(id)) continue;
      this.#used.add(id);
      return { uid: id, gid: id };
    }
    this.#used.clear();
    return this.take();
  }
}

/** The end of what a line "inside outside count" of a uid map covers (user_namespaces(7)). */
function endOfRange(line: string): number {
  const [inside, , count] = line.trim().split(/\s+/).map(Number);
  return inside === undefined || count === undefined ? 0 : inside + count;
}

function readUidMap(): string {
  try {
    return readFileSync('/proc/self/uid_map', 'utf8');
  } catch {
    return '';
  }
}
