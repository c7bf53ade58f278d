import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseStep } from '../../e2e/devnet.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import { childEnvironment } from '../../scripts/lib/runProcess.ts';
import { type BenchLine, benchLine, median } from './measure.ts';
import { residentBytes } from './residentBytes.ts';

const runs = 3;
const timeoutMs = 180_000;
const sampleMs = 250;

/** start-to-first-call and start-resident-memory: `npm start -- --once` on an empty data folder. */
export async function benchStart(): Promise<readonly BenchLine[]> {
  const measured: OnceResult[] = [];
  for (let run = 0; run < runs; run++) measured.push(await startOnce());
  const megabytes = measured.map(({ peakBytes }) => peakBytes / 1e6);
  return [
    benchLine(
      'start-to-first-call',
      measured.map(({ ms }) => ms),
    ),
    {
      id: 'start-resident-memory',
      ours: Math.round(median(megabytes)),
      peer: null,
      unit: 'MB',
      ratio: null,
      runs,
    },
  ];
}

type OnceResult = {
  /** From the start of the process to its report that the network is ready and the first call verified. */
  readonly ms: number;
  /** The most that all its processes held at one moment. Pages that several share count for each. */
  readonly peakBytes: number;
};

async function startOnce(): Promise<OnceResult> {
  const data = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-start-'));
  const started = performance.now();
  const child = spawn(process.execPath, [inRoot('apps/devnet/src/main.ts'), '--once', '--json', '--data', data], {
    cwd: inRoot(),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: childEnvironment({}),
  });
  let ms = 0;
  let peakBytes = 0;
  let output = '';
  const take = (chunk: string) => {
    output = (output + chunk).slice(-20_000);
    if (chunk.split('\n').some((line) => parseStep(line)?.step === 'ready')) ms = performance.now() - started;
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, residentBytes(child.pid ?? 0));
  }, sampleMs);
  const deadline = setTimeout(() => child.kill('SIGINT'), timeoutMs);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0 || ms === 0)
      throw new Error(`The start failed with exit code ${code}:\n${output.trim().slice(-2_000)}`);
    return { ms, peakBytes };
  } finally {
    clearInterval(sampler);
    clearTimeout(deadline);
    fs.rmSync(data, { recursive: true, force: true, maxRetries: 5 });
  }
}
