import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { nodeImage } from '@cloister/sandbox';
import { build } from 'esbuild';

/** The example's image, made of this machine's Node.js and the programs in `app`: no registry, no Docker. */
export async function notesImage(signal: AbortSignal): Promise<Buffer> {
  return nodeImage(
    [
      { name: 'app/' },
      { name: 'app/web.mjs', content: await bundled('app/web.mjs') },
      { name: 'app/store.mjs', content: await readFile(new URL('app/store.mjs', import.meta.url)) },
    ],
    {},
    signal,
  );
}

/** A program with the packages that it imports. */
async function bundled(file: string): Promise<Buffer> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(file, import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    // What the SDK requires of Node.js by `require` is found by this.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire('file:///app/');" },
    // dstack's SDK stands beside the package that is tested against it.
    nodePaths: [fileURLToPath(new URL('../../packages/guest/node_modules', import.meta.url))],
    write: false,
  });
  return Buffer.from(outputFiles[0]?.contents ?? new Uint8Array());
}
