import { ScriptError } from '../../scripts/lib/scriptError.ts';
import type { BenchLine } from './measure.ts';

/** One exported function of a file in this folder, and what it measures. */
export type Bench = { readonly file: string; readonly name: string; readonly ids: readonly string[] };

export const benches: readonly Bench[] = [
  {
    file: 'quote.ts',
    name: 'benchQuoteVerification',
    ids: ['quote-verify-full', 'quote-verify-collateral-cached', 'quote-verify-chain-cached'],
  },
  { file: 'verifierBundle.ts', name: 'benchVerifierBundle', ids: ['verifier-bundle-size'] },
  { file: 'receipt.ts', name: 'benchReceiptSign', ids: ['receipt-sign'] },
  { file: 'voucher.ts', name: 'benchVoucherCheck', ids: ['voucher-check'] },
  { file: 'sealed.ts', name: 'benchAddedLatency', ids: ['sealed-call-added-1k'] },
  { file: 'sealed.ts', name: 'benchWorkerCpu', ids: ['sealed-call-worker-cpu-1k'] },
  { file: 'relay.ts', name: 'relayAdded1k', ids: ['relay-added-1k'] },
  { file: 'firstAndNextCalls.ts', name: 'benchFunctions', ids: ['function-cold', 'function-pooled', 'function-warm'] },
  { file: 'firstAndNextCalls.ts', name: 'benchModules', ids: ['wasm-cold', 'wasm-pooled', 'wasm-warm'] },
  { file: 'firstAndNextCalls.ts', name: 'benchOnnx', ids: ['model-onnx-cold', 'model-onnx-warm'] },
  { file: 'containers.ts', name: 'benchContainers', ids: ['container-cold', 'container-warm', 'container-density'] },
  { file: 'walls.ts', name: 'benchWalls', ids: ['walls-cold', 'walls-warm'] },
  {
    file: 'sealedModels.ts',
    name: 'benchSealedModels',
    ids: ['model-token', 'model-token-streamed', 'model-onnx-sealed'],
  },
  { file: 'density.ts', name: 'benchDensity', ids: ['function-density', 'wasm-density', 'model-onnx-density'] },
  {
    file: 'neighbours.ts',
    name: 'benchNeighbours',
    ids: ['neighbour-spin', 'neighbour-answer', 'neighbour-log', 'neighbour-outbound'],
  },
  { file: 'deterministicFunction.ts', name: 'benchDeterministicFunctions', ids: ['function-deterministic-warm'] },
  { file: 'keyRelease.ts', name: 'benchKeyRelease', ids: ['key-release-5of7'] },
  {
    file: 'provenReads.ts',
    name: 'benchProvenReads',
    ids: ['proven-reads-cold', 'proven-reads-next-block', 'proven-reads-same-block', 'proven-reads-traffic'],
  },
  { file: 'chainWalk.ts', name: 'benchChainWalk', ids: ['chain-walk-8192', 'chain-walk-8192-traffic'] },
  { file: 'beacon.ts', name: 'benchBeaconVerify', ids: ['beacon-verify', 'beacon-verify-browser'] },
  { file: 'secret.ts', name: 'benchSecretSeal', ids: ['secret-seal'] },
  { file: 'secret.ts', name: 'benchSecretOpen', ids: ['secret-open'] },
  { file: 'ceremony.ts', name: 'benchDkg4', ids: ['dkg-4'] },
  { file: 'ceremony.ts', name: 'benchDkg7', ids: ['dkg-7'] },
  { file: 'ceremony.ts', name: 'benchDkg16', ids: ['dkg-16'] },
  { file: 'ceremony.ts', name: 'benchReshare4', ids: ['reshare-4'] },
  { file: 'ceremony.ts', name: 'benchReshare7', ids: ['reshare-7'] },
  { file: 'ceremony.ts', name: 'benchReshare16', ids: ['reshare-16'] },
  { file: 'challenge.ts', name: 'benchChallenges', ids: ['challenge-cpu', 'challenge-traffic'] },
  { file: 'epoch.ts', name: 'benchEpoch', ids: ['epoch-100k'] },
  { file: 'start.ts', name: 'benchStart', ids: ['start-to-first-call', 'start-resident-memory'] },
];

/** The benches that measure some ids; all where none are given. Throws SCRIPT_BAD_ARGUMENT for an id that nobody measures. */
export function benchesFor(ids: readonly string[]): readonly Bench[] {
  const known = benches.flatMap((bench) => bench.ids);
  const unknown = ids.find((id) => !known.includes(id));
  if (unknown !== undefined)
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `Nothing measures "${unknown}"`,
      hint: `there are ${known.join(', ')}`,
    });
  return benches.filter((bench) => ids.length === 0 || bench.ids.some((id) => ids.includes(id)));
}

/** Runs one bench. Throws TypeError where it answers anything but a line for each of its ids. */
export async function runBench({ file, name, ids }: Bench): Promise<readonly BenchLine[]> {
  const module = (await import(new URL(file, import.meta.url).href)) as Readonly<Record<string, unknown>>;
  const bench = module[name];
  if (typeof bench !== 'function') throw new TypeError(`"bench/src/${file}" exports no function "${name}"`);
  const answer: unknown = await bench();
  const lines: readonly unknown[] = Array.isArray(answer) ? answer : [answer];
  return ids.map((id) => {
    const line = lines.filter(isBenchLine).find((candidate) => candidate.id === id);
    if (line === undefined) throw new TypeError(`Expected "${name}" to measure "${id}", got ${JSON.stringify(answer)}`);
    return line;
  });
}

export function isBenchLine(value: unknown): value is BenchLine {
  if (typeof value !== 'object' || value === null) return false;
  const { id, ours, peer, unit, ratio, runs } = value as Readonly<Record<string, unknown>>;
  const isNumber = (number: unknown) => typeof number === 'number' && Number.isFinite(number);
  return (
    typeof id === 'string' &&
    isNumber(ours) &&
    (peer === null ? ratio === null : isNumber(peer) && isNumber(ratio)) &&
    (unit === 'ms' || unit === 'MB' || unit === 'kB') &&
    isNumber(runs)
  );
}
