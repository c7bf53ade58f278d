import { CloisterError } from '@cloister/core';

export type MetricOptions = {
  /** As Prometheus wants it: cloister_gateway_calls_total. */
  readonly name: string;
  readonly help: string;
};

export type Labels = Readonly<Record<string, string>>;
export type Counter = {
  add(by?: number, labels?: Labels): void;
  /** The counter of these labels alone, for hot paths: keep it. */
  with(labels: Labels): { add(by?: number): void };
};
export type Gauge = { set(value: number, labels?: Labels): void };
export type Histogram = { observe(value: number, labels?: Labels): void };

export type Metrics = {
  counter(options: MetricOptions): Counter;
  gauge(options: MetricOptions): Gauge;
  /** A gauge that is read when somebody asks. */
  gaugeOf(options: MetricOptions, read: () => number): void;
  /** @param options.buckets ascending upper bounds; the last, infinite one is added. @default seconds from 1 ms to 60 s */
  histogram(options: MetricOptions & { readonly buckets?: readonly number[] }): Histogram;
  /** Everything in the text format of Prometheus, version 0.0.4. */
  text(): string;
};

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

const maxSeries = 1_000;
const defaultBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** The numbers of one process, with its memory, processor time and start. Nothing global. */
export function createMetrics(): Metrics {
  const writers = new Map<string, () => string>();
  const add = ({ name, help }: MetricOptions, type: string, lines: () => readonly string[]): void => {
    if (!/^[a-z][a-z0-9_]*$/.test(name) || writers.has(name)) throw new MetricNameError(name);
    writers.set(name, () =>
      [
        `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`,
        `# TYPE ${name} ${type}`,
        ...lines(),
      ].join('\n'),
    );
  };
  const metrics: Metrics = {
    counter: (options) => {
      const series = new Series(() => ({ value: 0 }));
      add(options, 'counter', () => series.lines((labels, { value }) => [`${options.name}${labels} ${number(value)}`]));
      return {
        add: (by = 1, labels) => {
          series.at(labels).value += by;
        },
        with: (labels) => {
          const one = series.at(labels);
          return {
            add: (by = 1) => {
              one.value += by;
            },
          };
        },
      };
    },
    gauge: (options) => {
      const series = new Series(() => ({ value: 0 }));
      add(options, 'gauge', () => series.lines((labels, { value }) => [`${options.name}${labels} ${number(value)}`]));
      return {
        set: (value, labels) => {
          series.at(labels).value = value;
        },
      };
    },
    gaugeOf: (options, read) => add(options, 'gauge', () => [`${options.name} ${number(read())}`]),
    histogram: (options) => {
      const bounds = options.buckets ?? defaultBuckets;
      const series = new Series(() => ({ counts: new Array<number>(bounds.length + 1).fill(0), sum: 0 }));
      add(options, 'histogram', () =>
        series.lines((labels, { counts, sum }) => histogramLines(options.name, labels, bounds, counts, sum)),
      );
      return {
        observe: (value, labels) => {
          const one = series.at(labels);
          const found = bounds.findIndex((bound) => value <= bound);
          const bucket = found === -1 ? bounds.length : found;
          one.counts[bucket] = (one.counts[bucket] ?? 0) + 1;
          one.sum += value;
        },
      };
    },
    text: () => `${[...writers.values()].map((write) => write()).join('\n')}\n`,
  };
  const startedAt = Date.now() / 1000 - process.uptime();
  metrics.gaugeOf({ name: 'process_resident_memory_bytes', help: 'Resident memory' }, () => process.memoryUsage.rss());
  metrics.gaugeOf({ name: 'process_start_time_seconds', help: 'Start, unix seconds' }, () => startedAt);
  metrics.gaugeOf({ name: 'process_cpu_seconds', help: 'Processor time used, user and system' }, () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  return metrics;
}

/** The values of one metric by their labels; past a bound, new labels are counted together. */
class Series<T> {
  readonly #make: () => T;
  readonly #byLabels = new Map<string, T>();

  constructor(make: () => T) {
    this.#make = make;
  }

  at(labels: Labels | undefined): T {
    const key = labels === undefined ? '' : labelText(labels);
    const known = this.#byLabels.get(key);
    if (known !== undefined) return known;
    const bounded = this.#byLabels.size < maxSeries ? key : '{other="true"}';
    const value = this.#byLabels.get(bounded) ?? this.#make();
    this.#byLabels.set(bounded, value);
    return value;
  }

  lines(write: (labels: string, value: T) => readonly string[]): string[] {
    return [...this.#byLabels].flatMap(([labels, value]) => write(labels, value));
  }
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([name, value]) =>
      `${name}="${value.slice(0, 128).replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`,
  );
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function histogramLines(
  name: string,
  labels: string,
  bounds: readonly number[],
  counts: readonly number[],
  sum: number,
): string[] {
  const withBound = (bound: string): string =>
    labels === '' ? `{le="${bound}"}` : `${labels.slice(0, -1)},le="${bound}"}`;
  let total = 0;
  const lines = counts.map((count, index) => {
    total += count;
    const bound = bounds[index];
    return `${name}_bucket${withBound(bound === undefined ? '+Inf' : number(bound))} ${total}`;
  });
  return [...lines, `${name}_sum${labels} ${number(sum)}`, `${name}_count${labels} ${total}`];
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

export class MetricNameError extends CloisterError<'METRIC_NAME_UNUSABLE'> {
  override readonly name = 'MetricNameError';
  constructor(metric: string) {
    super({
      code: 'METRIC_NAME_UNUSABLE',
      message: `The metric "${metric}" exists already, or its name is not lower snake case`,
      meta: { metric },
    });
  }
}
