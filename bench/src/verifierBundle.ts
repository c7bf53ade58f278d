import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { root } from '../../scripts/lib/paths.ts';
import type { BenchLine } from './measure.ts';

// What a page loads to verify evidence by itself: everything that the entry exports, minified, compressed by gzip.
const entries = {
  ours: `export * from '@cloister/attestation/verify'`,
  peer: `import * as qvl from '@phala/dcap-qvl'; export const QuoteVerifier = qvl.QuoteVerifier;`,
} as const;

/** Size of the verifier in a browser, in kB of 1,000 bytes. */
export async function benchVerifierBundle(): Promise<BenchLine> {
  const ours = await gzippedKilobytes(entries.ours);
  const peer = await gzippedKilobytes(entries.peer);
  return { id: 'verifier-bundle-size', ours, peer, unit: 'kB', ratio: Number((ours / peer).toPrecision(4)), runs: 1 };
}

async function gzippedKilobytes(entry: string): Promise<number> {
  const id = '\0bench-entry';
  const output = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    plugins: [
      {
        name: 'cloister-bench-entry',
        resolveId: (source) => (source === 'bench-entry' ? id : undefined),
        load: (loaded) => (loaded === id ? entry : undefined),
      },
    ],
    build: {
      write: false,
      target: 'es2022',
      rollupOptions: { input: 'bench-entry', preserveEntrySignatures: 'strict' },
    },
  });
  const outputs = Array.isArray(output) ? output : 'output' in output ? [output] : [];
  const chunks = outputs.flatMap((one) => one.output).filter((item) => item.type === 'chunk');
  const code = chunks.map((chunk) => chunk.code).join('\n');
  if (code.length < 1_000) throw new Error(`Expected a bundle of the verifier, got "${code.slice(0, 80)}"`);
  return Number((gzipSync(code).length / 1_000).toPrecision(4));
}
