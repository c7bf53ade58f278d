import { join } from 'node:path';
import type { RestSealing } from '@cloister/attestation/attest';
import { type Address, CloisterError, schema as z } from '@cloister/core';
import { SealedFile } from '../sealedFile.ts';
import { type KeptReleases, ReleaseLog } from './releaseLog.ts';

export type OpenedReleases = {
  readonly releases: ReleaseLog;
  /** Resolves once the file has all that was added before the call. Where the device can't seal, nothing is kept. */
  readonly keep: () => Promise<void>;
};

const purpose = 'cloister/gatekeeper-releases: v1';
/** More than the log of one epoch, at its largest, with what sealing adds. */
const maxFileBytes = 16 * 1024 * 1024;
const maxListed = 65_536;
const contents = z.strictObject({
  format: z.literal('cloister-gatekeeper-releases-1'),
  /** Of the member whose log it is. */
  signer: z.address,
  head: z.bytes32,
  count: z.uintString(64),
  epoch: z.uintString(64),
  platforms: z
    .array(z.strictObject({ platformId: z.bytes32, apps: z.array(z.bytes32).check(z.refineArray(1, maxListed)) }))
    .check(z.refineArray(0, maxListed)),
});

/**
 * The log of what this member released, gone on with after a restart where the device seals; else, and where there is no file, a
 * new one. Throws RELEASE_LOG_UNREADABLE for a file of another platform, image or member, or one that was changed.
 *
 * The disk is the operator's: who puts an older file back, or takes it away, gets a log that is older than the truth. What
 * platforms were given since then is forgotten and the limit per platform counts anew, at this member alone: one platform gets
 * more keys than it may only where t members' disks were treated so. Whoever knows a later head sees it, as the head went back.
 */
export async function openReleases(
  dataDir: string,
  sealing: RestSealing | undefined,
  signer: Address,
): Promise<OpenedReleases> {
  if (sealing === undefined) return { releases: new ReleaseLog(), keep: async () => {} };
  const file = new SealedFile(join(dataDir, 'sealed-releases.bin'), { sealing, purpose, maxBytes: maxFileBytes });
  const releases = new ReleaseLog(await readReleases(file, signer));
  const write = () => file.write(releasesToJson(signer, releases.kept));
  let running: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;
  return {
    releases,
    // One write at a time. Who asks meanwhile shares the next one, which has what all of them added.
    keep: () => {
      waiting ??= running
        .catch(() => {})
        .then(() => {
          waiting = undefined;
          running = write();
          return running;
        });
      return waiting;
    },
  };
}

function releasesToJson(signer: Address, kept: KeptReleases): object {
  return {
    format: 'cloister-gatekeeper-releases-1',
    signer,
    head: kept.head,
    count: kept.count.toString(),
    epoch: kept.epoch.toString(),
    platforms: [...kept.appsByPlatform].map(([platformId, apps]) => ({ platformId, apps: [...apps] })),
  };
}

function readReleases(file: SealedFile, signer: Address): Promise<KeptReleases | undefined> {
  return file.read(
    (json) => {
      const read = z.parseWith(contents, json, 'log of releases');
      if (read.signer !== signer) throw new RangeError(`It is the log of ${read.signer}, this member is ${signer}`);
      const { head, count, epoch, platforms } = read;
      const appsByPlatform = new Map(platforms.map(({ platformId, apps }) => [platformId, new Set(apps)]));
      return { head, count, epoch, appsByPlatform };
    },
    (path, cause) => new SealedReleasesError(path, cause),
  );
}

export class SealedReleasesError extends CloisterError<'RELEASE_LOG_UNREADABLE'> {
  override readonly name = 'SealedReleasesError';
  constructor(file: string, cause: unknown) {
    super({
      code: 'RELEASE_LOG_UNREADABLE',
      message: `What "${file}" holds is not this member's log of releases, on this platform with this image`,
      hint: 'Move the file away; the log then starts anew, and what platforms were given in this epoch is forgotten',
      meta: { file },
      cause,
    });
  }
}
