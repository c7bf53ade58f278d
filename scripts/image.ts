// npm run image: the reference values of the worker image. Measures the files of this checkout as the simulated TEE does
// at boot; the same commit, lock file and machine type give the same values in any folder.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureImage } from '@cloister/attestation/unsafe-simulated';
import { toHex } from '@cloister/crypto';
import { processFiles } from '@cloister/service';

const { values } = parseArgs({ options: { json: { type: 'boolean' }, root: { type: 'string' } } });
const root = path.resolve(values.root ?? fileURLToPath(new URL('..', import.meta.url)));
const files = await processFiles(root, 'apps/worker');
const image = await measureImage(files, AbortSignal.timeout(120_000));
const reference = {
  imageId: image.imageId,
  teeType: 'tdx',
  platform: `${process.platform}-${process.arch}`,
  mrtd: toHex(image.mrtd),
  rtmr0: toHex(image.rtmr0),
  rtmr1: toHex(image.rtmr1),
  rtmr2: toHex(image.rtmr2),
};
if (values.json) process.stdout.write(`${JSON.stringify(reference)}\n`);
else
  process.stdout.write(`Worker image   ${reference.imageId}  (${reference.platform})
  MRTD         ${reference.mrtd}  Node.js ${process.versions.node}
  RTMR0        ${reference.rtmr0}  configuration constant
  RTMR1        ${reference.rtmr1}  ${files.dependencies.files.length} files of installed packages
  RTMR2        ${reference.rtmr2}  ${files.code.files.length} files of our own code
`);
