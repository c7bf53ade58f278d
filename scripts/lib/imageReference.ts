import fs from 'node:fs';
import path from 'node:path';
import { measureImage } from '@cloister/attestation/unsafe-simulated';
import { replayCcel, replayDstackLog } from '@cloister/attestation/verify';
import { type Bytes32, mrConfigIdOf, networkFileId, parseNetworkFile } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { type ProcessFiles, processFiles } from '@cloister/service';
import { baseEntries, readBase } from './imageBase.ts';
import { dstackApp, dstackImageIdOf } from './imageDstack.ts';
import { readInput } from './imageInput.ts';
import { networkLayer, workerLayers } from './imageLayers.ts';
import { writeOciImage } from './imageOci.ts';
import type { ImageOptions } from './imageOptions.ts';
import { snpReference } from './imageSnpReference.ts';
import { tdxReference } from './imageTdxReference.ts';
import { inRoot } from './paths.ts';
import { ScriptError } from './scriptError.ts';
import { readPackageJson } from './workspaces.ts';

export type ImageReference = Awaited<ReturnType<typeof makeImage>>;

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Makes the image that the options ask for, and everything that one compares a running worker with. Throws ScriptError. */
export async function makeImage(options: ImageOptions, signal: AbortSignal) {
  const eventLog = options.eventLog === undefined ? undefined : replayed(options.eventLog);
  const { guest } = options;
  const snp = guest?.snp === undefined ? undefined : snpReference(guest, guest.snp);
  const tdx = guest?.tdx === undefined ? undefined : tdxReference(guest, guest.tdx, firmwareRegisters(eventLog));
  const files = await processFiles(options.root, 'apps/worker');
  const image = await measureImage(files, signal);
  const oci = options.valuesOnly ? undefined : await writeImage(options, files, signal);
  const dstack =
    oci === undefined || oci.network === null || options.imageName === undefined
      ? undefined
      : writeDstackApp(options, `${options.imageName}@${oci.digest}`, oci.network.id);
  return {
    // What the simulated TEE reports of these files.
    imageId: image.imageId,
    teeType: 'tdx',
    platform: `${process.platform}-${process.arch}`,
    mrtd: toHex(image.mrtd),
    rtmr0: toHex(image.rtmr0),
    rtmr1: toHex(image.rtmr1),
    rtmr2: toHex(image.rtmr2),
    runtime: { version: process.versions.node, pinned: isPinned(files.runtime) },
    files: { dependencies: files.dependencies.files.length, code: files.code.files.length },
    ...(oci === undefined ? {} : { oci }),
    ...(dstack === undefined ? {} : { dstack }),
    ...(snp === undefined ? {} : { snp }),
    ...(tdx === undefined ? {} : { tdx }),
    ...(eventLog === undefined ? {} : { eventLog }),
  };
}

/** Nobody else gets the values of a runtime that is not the one of the lock file. */
function isPinned(runtime: string): boolean {
  return runtime.startsWith(inRoot('.toolchain') + path.sep);
}

async function writeImage(options: ImageOptions, files: ProcessFiles, signal: AbortSignal) {
  const architecture = architectures[process.arch];
  if (process.platform !== 'linux' || architecture === undefined)
    throw new ScriptError({
      code: 'IMAGE_PLATFORM_UNSUPPORTED',
      message: `The image holds programs for Linux, and this machine is "${process.platform} ${process.arch}"`,
      hint: 'Make it on Linux, or measure only with --values',
    });
  const base = options.base ? readBase(architecture) : undefined;
  const { packages: folder, mirrors } = options;
  const network = options.networkFile === undefined ? undefined : readInput(options.networkFile);
  // Refused here rather than by every worker that starts from the image.
  const networkId = network === undefined ? undefined : networkFileId(parseNetworkFile(network));
  const layers = [
    ...(base === undefined
      ? []
      : [{ name: 'base' as const, entries: await baseEntries(base, { folder, mirrors, signal }) }]),
    ...workerLayers(files),
    ...(network === undefined ? [] : [networkLayer(network)]),
  ];
  const { version } = readPackageJson(path.join(options.root, 'apps/worker/package.json'));
  const written = writeOciImage({ folder: path.join(options.out, 'oci'), layers, architecture, version });
  return {
    folder: path.join(options.out, 'oci'),
    architecture,
    base: base?.name ?? null,
    network: networkId === undefined ? null : launchValues(networkId),
    digest: written.digest,
    config: written.config.digest,
    layers: written.layers.map(({ name, digest, size }) => ({ name, digest, bytes: size })),
  };
}

/** How whoever starts a guest names the network to its TEE; QEMU and libvirt take base64. */
function launchValues(id: Bytes32) {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return { id, tdxMrConfigId: base64(mrConfigIdOf(id)), snpHostData: base64(fromHex(id)) };
}

function writeDstackApp(options: ImageOptions, image: string, networkId: Bytes32) {
  const compose = fs.readFileSync(inRoot('image/docker-compose.yml'), 'utf8');
  const { appCompose, ...app } = dstackApp(compose, { image, networkId, kmsId: options.kmsId });
  const file = path.join(options.out, 'app-compose.json');
  fs.writeFileSync(file, appCompose);
  const os = options.dstackOs ?? null;
  const imageId = os === null ? null : dstackImageIdOf(os, app.composeHash);
  return { image, appCompose: file, ...app, kmsId: options.kmsId ?? null, os, imageId };
}

/** Of the log, where there is one. dstack's begins with the same events, and goes on with its own system's. */
function firmwareRegisters(eventLog: ReturnType<typeof replayed> | undefined) {
  if (eventLog === undefined || eventLog.kind === 'ccel') return eventLog?.registers;
  throw new ScriptError({
    code: 'SCRIPT_BAD_ARGUMENT',
    message: 'Expected a log of firmware after --event-log beside --tdx-firmware, got one of dstack',
    hint: 'The image id of a worker in a dstack CVM comes with --image-name',
  });
}

function replayed(file: string) {
  const log = readInput(file);
  const isJson = /^\s*\[/.test(Buffer.from(log.subarray(0, 64)).toString('latin1'));
  return isJson
    ? { kind: 'dstack', ...replayDstackLog(log) }
    : { kind: 'ccel', registers: replayCcel(log), claims: undefined };
}
