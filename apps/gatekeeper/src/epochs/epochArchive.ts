import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Bytes32,
  CloisterError,
  type EpochIndex,
  epochIndexToJson,
  maxEpochCandidates,
  maxEpochIndexBytes,
  maxMeasurementVectorBytes,
  parseBoundedJson,
  parseEpochIndex,
  schema as z,
} from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import type { EpochLeaves } from '@cloister/economics';
import { writeFileAtomic } from '@cloister/service';

/** What is published about an epoch, as a member keeps it for whoever computes its record anew. */
export type ArchivedEpoch = {
  readonly index: EpochIndex;
  /** Bytes by their sha256. */
  readonly vectors: ReadonlyMap<Bytes32, Uint8Array>;
  /** By the record's digest. */
  readonly leaves: ReadonlyMap<Bytes32, EpochLeaves>;
};

export type EpochArchive = {
  /** Keeps an epoch, in place of what was kept of it before; the oldest go. */
  readonly add: (epoch: ArchivedEpoch) => Promise<void>;
  readonly index: (epoch: bigint) => Promise<EpochIndex | undefined>;
  readonly vector: (vectorId: Bytes32) => Promise<Uint8Array | undefined>;
  /** As JSON has them. */
  readonly leaves: (digest: Bytes32) => Promise<unknown>;
};

const keptEpochs = 24;
const maxLeavesBytes = 64 * 1024 * 1024;
const maxIndexFileBytes = maxEpochIndexBytes + 4_096;
const indexJson = z.strictObject({
  index: z.jsonObject,
  /** Digests of the records whose leaves are kept. */
  leaves: z.array(z.bytes32).check(z.refineArray(0, maxEpochCandidates)),
});

/**
 * The last epochs, in a folder of the operator's disk. All of it is public and proves itself, by ids and signatures, to whoever asks for
 * it: the disk can lose it, and nothing more. A file that is damaged is as good as not there.
 */
export async function openEpochArchive(dataDir: string): Promise<EpochArchive> {
  const folder = join(dataDir, 'epochs');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const indexFile = (epoch: bigint) => join(folder, `${epoch}.json`);
  const vectorFile = (id: Bytes32) => join(folder, `vector-${id}.json`);
  const leavesFile = (digest: Bytes32) => join(folder, `leaves-${digest}.json`);

  const read = async (epoch: bigint) => {
    const bytes = await readKept(indexFile(epoch), maxIndexFileBytes);
    try {
      if (bytes === undefined) return undefined;
      const { index, leaves } = z.parseWith(indexJson, parseBoundedJson(bytes, maxIndexFileBytes, 'epoch'), 'epoch');
      return { index: parseEpochIndex(index), leaves };
    } catch (error) {
      if (error instanceof CloisterError) return undefined;
      throw error;
    }
  };
  const prune = async (): Promise<void> => {
    const epochs = (await readdir(folder)).flatMap((name) => {
      const [, epoch] = /^(\d{1,18})\.json$/.exec(name) ?? [];
      return epoch === undefined ? [] : [BigInt(epoch)];
    });
    const sorted = epochs.sort((left, right) => (left < right ? -1 : 1));
    for (const epoch of sorted.slice(0, -keptEpochs)) {
      const kept = await read(epoch);
      for (const { vectorId } of kept?.index.publications ?? []) await rm(vectorFile(vectorId), { force: true });
      for (const digest of kept?.leaves ?? []) await rm(leavesFile(digest), { force: true });
      await rm(indexFile(epoch), { force: true });
    }
  };
  return {
    index: async (epoch) => (await read(epoch))?.index,
    vector: async (vectorId) => {
      const bytes = await readKept(vectorFile(vectorId), maxMeasurementVectorBytes);
      return bytes !== undefined && toHex(sha256(bytes)) === vectorId ? bytes : undefined;
    },
    leaves: async (digest) => {
      const bytes = await readKept(leavesFile(digest), maxLeavesBytes);
      try {
        return bytes && parseBoundedJson(bytes, maxLeavesBytes, 'leaves');
      } catch (error) {
        if (error instanceof CloisterError) return undefined;
        throw error;
      }
    },
    add: async ({ index, vectors, leaves }) => {
      for (const [id, bytes] of vectors) await writeFileAtomic(vectorFile(id), bytes, { mode: 0o600 });
      for (const [digest, all] of leaves)
        await writeFileAtomic(leavesFile(digest), utf8(JSON.stringify(all, decimal)), { mode: 0o600 });
      const json = { index: epochIndexToJson(index), leaves: [...leaves.keys()] };
      await writeFileAtomic(indexFile(index.epoch), utf8(JSON.stringify(json)), { mode: 0o600 });
      await prune();
    },
  };
}

async function readKept(file: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    if ((await stat(file)).size > maxBytes) return undefined;
    return new Uint8Array(await readFile(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function decimal(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
