import { mkdir, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { RestSealing } from '@cloister/attestation/attest';
import { type Address, CloisterError, stateRecordToJson, schema as z } from '@cloister/core';
import { SealedFile } from '../sealedFile.ts';
import { type HeldState, heldStateForm, stateKey } from './heldState.ts';
import { type KeptStates, maxHeldStates, type StateDisk } from './stateBook.ts';

export type OpenedStates = KeptStates & { readonly disk: StateDisk };

const purpose = 'cloister/gatekeeper-state: v1';
const maxFileBytes = 16 * 1024;
const generationFile = 'generation.bin';
const stateContents = z.strictObject({
  format: z.literal('cloister-gatekeeper-state-1'),
  /** Of the member whose it is. */
  signer: z.address,
  state: heldStateForm,
});
const generationContents = z.strictObject({
  format: z.literal('cloister-gatekeeper-state-generation-1'),
  signer: z.address,
  generation: z.uintString(64),
});

/**
 * What this member kept of each partition, one sealed file each, where the device seals; else nothing is kept. Throws
 * SEALED_STATE_UNREADABLE for a file of another platform, image or member, or one that was changed.
 *
 * The disk is the operator's: older files may be put back, or some taken away. So nothing is signed on the strength of it
 * before the other members have been heard.
 */
export async function openStates(
  dataDir: string,
  sealing: RestSealing | undefined,
  signer: Address,
): Promise<OpenedStates> {
  const nothing = { keep: async () => {}, keepGeneration: async () => {} };
  if (sealing === undefined) return { states: [], generation: undefined, disk: nothing };
  const folder = join(dataDir, 'state');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fileAt = (name: string) => new SealedFile(join(folder, name), { sealing, purpose, maxBytes: maxFileBytes });
  const write = (name: string, contents: object): Promise<void> => fileAt(name).write(stateRecordToJson(contents));
  const kept = await readAll(folder, fileAt, signer);
  return {
    ...kept,
    disk: {
      keep: (state) => write(fileOf(state), { format: 'cloister-gatekeeper-state-1', signer, state }),
      keepGeneration: (generation) =>
        write(generationFile, { format: 'cloister-gatekeeper-state-generation-1', signer, generation }),
    },
  };
}

async function readAll(folder: string, fileAt: (name: string) => SealedFile, signer: Address): Promise<KeptStates> {
  const states: HeldState[] = [];
  let generation: bigint | undefined;
  for (const name of await readdir(folder)) {
    // What a write left behind that did not come to its end.
    if (name.startsWith('.')) {
      await unlink(join(folder, name)).catch(() => {});
      continue;
    }
    const take = (json: unknown): void => {
      if (name === generationFile) {
        const read = z.parseWith(generationContents, json, 'generation of kept state');
        assertMine(read.signer, signer);
        generation = read.generation;
        return;
      }
      if (states.length >= maxHeldStates) throw new RangeError(`There are more than ${maxHeldStates} partitions`);
      const read = z.parseWith(stateContents, json, 'kept state');
      assertMine(read.signer, signer);
      if (fileOf(read.state) !== name) throw new RangeError('It is the state of another partition');
      states.push(read.state);
    };
    await fileAt(name).read(take, (path, cause) => new SealedStatesError(path, cause));
  }
  return { states, generation };
}

function fileOf({ app, partition }: Pick<HeldState, 'app' | 'partition'>): string {
  return `${stateKey(app, partition).slice(2)}.bin`;
}

function assertMine(found: Address, signer: Address): void {
  if (found !== signer) throw new RangeError(`It is kept by ${found}, this member is ${signer}`);
}

export class SealedStatesError extends CloisterError<'SEALED_STATE_UNREADABLE'> {
  override readonly name = 'SealedStatesError';
  constructor(file: string, cause: unknown) {
    super({
      code: 'SEALED_STATE_UNREADABLE',
      message: `What "${file}" holds is not what this member kept of a partition, on this platform with this image`,
      hint: 'Move the whole folder away; the member then learns the heads from the others',
      meta: { file },
      cause,
    });
  }
}
