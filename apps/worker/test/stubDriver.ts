import { runtimeNames } from '@cloister/core';
import type {
  Invocation,
  InvocationRequest,
  LogLine,
  Outcome,
  SandboxDriver,
  Tenant,
  WallReport,
  Workload,
} from '@cloister/sandbox';

/** What a workload does with one request, as the sandbox would report it. */
export type StubRun = {
  readonly status?: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  readonly outcome?: Partial<Outcome>;
};

export const metering = { wallMs: 1.5, cpuMs: 0.5, outputBytes: 3, peakMemoryBytes: 1_000 };

/** A sandbox whose workloads are functions of the test. */
export class StubDriver implements SandboxDriver {
  readonly kind: Workload['kind'];
  readonly runtimes: readonly string[];
  readonly tenants: StubTenant[] = [];
  run: (request: InvocationRequest, tenant: StubTenant) => StubRun | Promise<StubRun> = () => ({});
  /** Awaited before a workload is open; throws where it can't be opened. */
  opening: (workload: Workload) => void | Promise<void> = () => {};

  constructor(
    kind: Workload['kind'] = 'function',
    runtimes: readonly string[] = kind === 'function' ? ['workerd'] : runtimeNames[kind],
  ) {
    this.kind = kind;
    this.runtimes = runtimes;
  }

  get walls(): WallReport {
    const wall = { present: true, by: 'nothing: a stub' };
    return {
      ...{ network: wall, filesystem: wall, identity: wall, systemCalls: wall },
      ...{ memory: wall, pids: wall, cpu: wall },
    };
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  async open(workload: Workload): Promise<StubTenant> {
    const tenant = new StubTenant(this, workload);
    this.tenants.push(tenant);
    await this.opening(workload);
    return tenant;
  }

  /** How often a workload was opened, and how many are open now. */
  get counts(): { readonly opened: number; readonly open: number } {
    return { opened: this.tenants.length, open: this.tenants.filter(({ closed }) => !closed).length };
  }
}

export class StubTenant implements Tenant {
  readonly workload: Workload;
  closed = false;
  readonly #driver: StubDriver;

  constructor(driver: StubDriver, workload: Workload) {
    this.#driver = driver;
    this.workload = workload;
  }

  async invoke(request: InvocationRequest): Promise<Invocation> {
    const { status = 200, headers = [], body = [], outcome = {} } = await this.#driver.run(request, this);
    let finish: (outcome: Outcome) => void = () => {};
    const finished = new Promise<Outcome>((resolve) => {
      finish = resolve;
    });
    async function* parts(): AsyncGenerator<Uint8Array> {
      yield* body;
      finish({ status: 'ok', refusedHosts: [], metering, ...outcome });
    }
    return { status, headers, body: parts(), finished };
  }

  logs(): readonly LogLine[] {
    return [{ timeMs: 1, level: 'log', message: `by ${this.workload.tenant.slice(0, 6)}` }];
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
