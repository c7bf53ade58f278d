/** One line of `npm run bench -- --json`. Without a peer in the run, `peer` and `ratio` are null. */
export type BenchLine = {
  readonly id: string;
  /** Median over the runs. */
  readonly ours: number;
  readonly peer: number | null;
  /** Milliseconds per call; megabytes of memory; kilobytes of code. */
  readonly unit: 'ms' | 'MB' | 'kB';
  /** ours / peer: below 1 is faster than the peer. */
  readonly ratio: number | null;
  /** How many measurements each median is over. */
  readonly runs: number;
};

/** Work to time: once per call. */
export type Work = () => unknown | Promise<unknown>;

export type InterleavedOptions = {
  readonly id: string;
  readonly ours: Work;
  readonly peer?: Work;
  /** Measurements of each side. Default 30. */
  readonly runs?: number;
  /** Calls in one measurement, so that short work is not lost in the clock. Default 1. */
  readonly callsPerRun?: number;
  /** Measurements before the first that counts. Default 3. */
  readonly warmUps?: number;
};

/**
 * Times two works in turns, so that whatever else the machine does falls on both, and answers milliseconds per call.
 * Which goes first changes with every run.
 */
export async function interleaved(options: InterleavedOptions): Promise<BenchLine> {
  const { id, ours, peer, runs = 30, callsPerRun = 1, warmUps = 3 } = options;
  const times = { ours: [] as number[], peer: [] as number[] };
  for (let run = -warmUps; run < runs; run++) {
    const sides = [{ work: ours, kept: times.ours }, ...(peer === undefined ? [] : [{ work: peer, kept: times.peer }])];
    for (const { work, kept } of run % 2 === 0 ? sides : sides.reverse()) {
      const ms = await timed(work, callsPerRun);
      if (run >= 0) kept.push(ms);
    }
  }
  return benchLine(id, times.ours, times.peer);
}

/** A line from measurements in milliseconds; an empty list of the peer's means there was none. */
export function benchLine(id: string, ours: readonly number[], peer: readonly number[] = []): BenchLine {
  const own = median(ours);
  const other = peer.length === 0 ? null : median(peer);
  return {
    id,
    ours: rounded(own),
    peer: other === null ? null : rounded(other),
    unit: 'ms',
    ratio: other === null ? null : rounded(own / other),
    runs: ours.length,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  const lower = sorted[Math.ceil(middle) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError('Expected at least one measurement');
  return (upper + lower) / 2;
}

async function timed(work: Work, calls: number): Promise<number> {
  const started = performance.now();
  for (let call = 0; call < calls; call++) {
    const result = work();
    // Synchronous work must not pay for a turn of the event loop.
    if (result instanceof Promise) await result;
  }
  return (performance.now() - started) / calls;
}

/** Four significant digits: more is noise. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
