// npm run image: the worker's image and its reference values. The same commit, lock files and machine type give the same image in
// any folder, and the simulated TEE measures at boot the very files that are in it.
import fs from 'node:fs';
import path from 'node:path';
import { CloisterError } from '@cloister/core';
import { imageHelp, readImageOptions } from './lib/imageOptions.ts';
import { type ImageReference, makeImage } from './lib/imageReference.ts';
import { relativeToRoot } from './lib/paths.ts';
import { say } from './lib/print.ts';
import { runMain, ScriptError } from './lib/scriptError.ts';

await runMain(async () => {
  const options = readImageOptions(process.argv.slice(2));
  if (options.help) {
    say(imageHelp);
    return 0;
  }
  const reference = await makeImage(options, AbortSignal.timeout(15 * 60_000)).catch((cause: unknown) => {
    if (!(cause instanceof CloisterError)) throw cause;
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `${cause.code}: ${cause.message}`,
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
      cause,
    });
  });
  const file = path.join(options.out, 'reference.json');
  if (!options.valuesOnly) fs.writeFileSync(file, `${JSON.stringify(reference, null, 2)}\n`);
  say(options.json ? JSON.stringify(reference) : prose(reference));
  if (!options.valuesOnly && !options.json) say(`\nAll of it: ${relativeToRoot(file)}`);
  return 0;
});

function prose(reference: ImageReference): string {
  const { runtime, files, oci, dstack, snp, tdx, eventLog } = reference;
  const lines = [
    `Worker image   ${reference.imageId}  (${reference.platform}, as the simulated TEE measures it)`,
    `  MRTD         ${reference.mrtd}  Node.js ${runtime.version}`,
    `  RTMR0        ${reference.rtmr0}  configuration constant`,
    `  RTMR1        ${reference.rtmr1}  ${files.dependencies} files of installed packages`,
    `  RTMR2        ${reference.rtmr2}  ${files.code} files of our own code`,
  ];
  if (!runtime.pinned)
    lines.push('  This Node.js is not the pinned one: start this through npm, or nobody else gets these values.');
  if (oci !== undefined)
    lines.push(
      '',
      `OCI image      ${oci.digest}  (${oci.architecture}, ${oci.base === null ? 'WITHOUT a base: does not start by itself' : `base ${oci.base}`})`,
      ...oci.layers.map(({ name, digest, bytes }) => `  ${name.padEnd(13)}${digest}  ${(bytes / 1e6).toFixed(1)} MB`),
      `  in           ${relativeToRoot(oci.folder)}`,
      ...(oci.network === null
        ? []
        : [
            `  network      ${oci.network.id}`,
            `  MRCONFIGID   ${oci.network.tdxMrConfigId}  (TDX, base64)`,
            `  HOST_DATA    ${oci.network.snpHostData}  (SEV-SNP, base64)`,
          ]),
    );
  if (dstack !== undefined)
    lines.push(
      '',
      `dstack app     ${dstack.composeHash}  compose-hash in RTMR3, and the worker's configId`,
      `  MRCONFIGID   ${dstack.mrConfigId}`,
      `  image        ${dstack.image}`,
      `  file         ${relativeToRoot(dstack.appCompose)}, to be deployed byte for byte`,
      dstack.kmsId === null
        ? '  key service  ANY that the host names, which then can change what is on the disk: not to be allowed, give --kms-id'
        : `  key service  ${dstack.kmsId}`,
      ...Object.entries(dstack.os ?? {}).map(([name, value]) => `  ${name.toUpperCase().padEnd(13)}${value}`),
      dstack.imageId === null
        ? "  imageId      give dstack's own registers to get it: --mrtd, --rtmr0, --rtmr1, --rtmr2"
        : `  imageId      ${dstack.imageId}  what governance allows, and the compose hash as configId`,
    );
  if (snp !== undefined)
    lines.push(
      '',
      `SEV-SNP guest  ${snp.imageId}  the image id that governance allows`,
      `  measurement  ${snp.measurement}`,
      `  firmware     ${snp.firmware.sha256}  (SHA-256)`,
      `  processors   ${snp.processors} of signature ${snp.cpuSignature}, features ${snp.features}`,
    );
  if (tdx !== undefined)
    lines.push(
      '',
      tdx.imageId === null
        ? "TD             give its firmware's log (--event-log) to get RTMR0 and the image id"
        : `TD             ${tdx.imageId}  the image id that governance allows`,
      `  MRTD         ${tdx.mrtd}  firmware ${tdx.firmware.sha256} (SHA-256)`,
      ...(tdx.rtmr0 === null ? [] : [`  RTMR0        ${tdx.rtmr0}  the machine, as in the log`]),
      `  RTMR1        ${tdx.rtmr1}  kernel`,
      `  RTMR2        ${tdx.rtmr2}  command line and initrd`,
    );
  if (eventLog !== undefined)
    lines.push(
      '',
      `Event log      ${eventLog.kind}: the registers that it leads to`,
      ...Object.entries(eventLog.registers).map(([name, value]) => `  ${name.toUpperCase().padEnd(13)}${value}`),
      ...(eventLog.claims === undefined ? [] : [`  compose-hash ${eventLog.claims.composeHash}`]),
    );
  return lines.join('\n');
}
