// node makeImage.mjs image.tar: packs a program and the folder app into an image's archive, as "docker save" writes it, without Docker and
// without a registry. The program is this machine's Node.js, or the one that is named: node makeImage.mjs image.tar /path/to/program
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [file = 'image.tar', program = process.execPath] = process.argv.slice(2);
if (process.platform !== 'linux')
  throw new Error(`Workers run Linux, and this is "${process.platform}": make the image there, or by docker save`);

/** The loader and the libraries that a program needs; a static one needs none. */
function librariesOf(path) {
  try {
    const lines = execFileSync('ldd', [path], { encoding: 'utf8', env: {}, stdio: ['ignore', 'pipe', 'ignore'] }).split(
      '\n',
    );
    return lines.flatMap((line) => /(\/\S+)\s+\(0x[0-9a-f]+\)$/.exec(line)?.[1] ?? []);
  } catch {
    return [];
  }
}

/** A tar archive in the ustar form. Owner and time stay zero: the same files give the same image. */
function tar(members) {
  const parts = members.flatMap(({ name, content, mode }) => {
    const header = Buffer.alloc(512);
    if (header.write(name) < Buffer.byteLength(name) || Buffer.byteLength(name) > 100)
      throw new Error(`"${name}" is too long a name`);
    header.write(mode.toString(8).padStart(7, '0'), 100);
    header.write('0000000', 108);
    header.write('0000000', 116);
    header.write(content.length.toString(8).padStart(11, '0'), 124);
    header.write('00000000000', 136);
    header.write('0', 156);
    header.write('ustar\x0000', 257);
    header.fill(0x20, 148, 156);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0`,
      148,
    );
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
const member = (name, path, mode) => ({ name, content: readFileSync(path), mode });

const runtime = tar([
  member('bin/program', program, 0o755),
  ...librariesOf(program).map((path) => member(path.slice(1), path, 0o755)),
]);
const folder = join(import.meta.dirname, 'app');
const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
const app = tar(paths.map((path) => member(`app${path.slice(folder.length)}`, path, 0o644)));

const layers = [runtime, app];
const config = Buffer.from(
  JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: ['/bin/program'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${hash(layer)}`) },
  }),
);
const description = [
  { Config: `${hash(config)}.json`, RepoTags: null, Layers: layers.map((layer) => `${hash(layer)}.tar`) },
];
writeFileSync(
  file,
  tar([
    { name: description[0].Config, content: config, mode: 0o644 },
    ...layers.map((layer) => ({ name: `${hash(layer)}.tar`, content: layer, mode: 0o644 })),
    { name: 'manifest.json', content: Buffer.from(JSON.stringify(description)), mode: 0o644 },
  ]),
);
console.log(`${file}: image sha256:${hash(config)}`);
