import type { Hex } from '@cloister/core';

/** What a tenant may use. Passing a limit ends the call, and the process that ran it. */
export type WorkloadLimits = {
  /**
   * Memory for the code and its data. The process as a whole is held to this plus a fixed allowance for the runtime
   * itself (`runtimeOverheadBytes` of the driver).
   */
  readonly memoryBytes: number;
  /** Wall-clock time of one invocation, until the last byte of its answer. */
  readonly wallMs: number;
  /** Processor time of one invocation. */
  readonly cpuMs?: number;
  /** Bytes in the body of one answer. */
  readonly outputBytes: number;
  /** Invocations in progress at once; one more is refused with TENANT_BUSY. */
  readonly maxConcurrent: number;
};

/** One version of one app, ready to run. */
export type Workload = {
  /** The app id. Nothing is shared between two tenants. */
  readonly tenant: Hex;
  /** The manifest id. */
  readonly version: Hex;
  readonly kind: 'function';
  /** Source of an ES module in UTF-8, with `export default { fetch(request, env, ctx) }`. */
  readonly code: Uint8Array;
  readonly env: Readonly<Record<string, string>>;
  /** Exactly "host" or "host:port" (https, port 443 unless given), or "http://host[:port]". Everything else is refused. */
  readonly outboundHosts: readonly string[];
  readonly limits: WorkloadLimits;
  /** The date whose runtime behaviour the code was written for, such as "2026-11-01". */
  readonly compatibilityDate?: string;
};

export type WallName = 'network' | 'filesystem' | 'memory' | 'pids' | 'identity' | 'cpu';

/** Whether one wall stands, what holds it up, and what is missing where it doesn't stand. */
export type Wall = { readonly present: boolean; readonly by: string; readonly missingReason?: string };

/** The walls around every process of a driver. A driver runs with what it can get: whether that is enough is its owner's decision. */
export type WallReport = { readonly [Name in WallName]: Wall };

/** Runs workloads of one kind. Life-cycle: `start`, then `open` as often as needed, then `stop`, which ends every tenant. */
export interface SandboxDriver {
  readonly kind: Workload['kind'];
  /** Known after `start`; reading it earlier throws NOT_STARTED. */
  readonly walls: WallReport;
  start(options: { signal: AbortSignal }): Promise<void>;
  /** Gives the workload a process of its own. Code that doesn't even load is found out by the first invocation. */
  open(workload: Workload, options: { signal: AbortSignal }): Promise<Tenant>;
  stop(): Promise<void>;
}

/** One workload in a process of its own. */
export interface Tenant {
  /**
   * Calls the handler. Whatever the code does, this resolves, and the outcome says how it ended: a failure gives status
   * 500, no headers and an empty body. Throws only for what isn't the code's doing: ABORTED, STOPPED, TENANT_CLOSED,
   * TENANT_BUSY, TENANT_RESTARTING, INVALID_REQUEST, PROCESS_FAILED.
   */
  invoke(request: InvocationRequest, options: { signal: AbortSignal }): Promise<Invocation>;
  /** What the code printed, oldest first. Bounded: old lines make room for new ones, long ones are cut. */
  logs(): readonly LogLine[];
  close(): Promise<void>;
}

export type InvocationRequest = {
  readonly method: string;
  /** Begins with "/"; may have a query. */
  readonly path: string;
  /** A "host" among them becomes the host in the handler's `request.url`. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  /** Id of the app that calls, where the worker has made sure of it: the handler sees it in the header `cloister-caller-app`. */
  readonly caller?: string;
};

/** An answer whose head is known, whose body streams, and whose outcome follows. */
export type Invocation = {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /**
   * The answer's bytes, once. It ends early, without an error, where the code fails or a limit is passed: only an outcome
   * of 'ok' makes it whole. Throws ABORTED and STOPPED.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /** Settles after the last byte. Rejects with ABORTED or STOPPED only. */
  readonly finished: Promise<Outcome>;
};

export type LimitName = 'wall' | 'memory' | 'cpu' | 'output' | 'pids';

export type Outcome = {
  /** 'refused': the handler failed, and during the invocation the gate refused at least one host. */
  readonly status: 'ok' | 'app-error' | 'limit' | 'refused';
  /** Which limit, where the status is 'limit'. */
  readonly limit?: LimitName;
  /** Why it failed, in at most 1024 characters. May hold text of the code's choosing. */
  readonly message?: string;
  /** Hosts that the gate refused while this invocation was in progress. */
  readonly refusedHosts: readonly string[];
  readonly metering: Metering;
};

export type Metering = {
  readonly wallMs: number;
  /**
   * Processor time. Invocations of one tenant that overlap share what their process used evenly, and the next one carries
   * what an earlier one left running: their sum is what the process used.
   */
  readonly cpuMs: number;
  /** Bytes of the body that the tenant sent. */
  readonly outputBytes: number;
  /** The most memory that the tenant's process has held so far, its runtime included. */
  readonly peakMemoryBytes: number;
};

export type LogLine = {
  readonly timeMs: number;
  readonly level: 'debug' | 'log' | 'info' | 'warn' | 'error' | 'system';
  readonly message: string;
};
