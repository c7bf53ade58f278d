import type { Hex } from '@cloister/core';
import type { ImageConfig } from './container/image/imageConfig.ts';
import type { ServiceName, TenantServices } from './services.ts';

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
  /** Instructions of one invocation, for modules and deterministic functions: counted where this is given. */
  readonly fuel?: number;
};

/** One version of one app, ready to run. */
export type Workload = {
  /** The app id. Nothing is shared between two tenants. */
  readonly tenant: Hex;
  /** The manifest id. */
  readonly version: Hex;
  readonly kind: 'function' | 'wasm' | 'model' | 'container';
  /**
   * Of a function: source of an ES module in UTF-8, with `export default { fetch(request, env, ctx) }`. Of kind 'wasm': a
   * module, command or reactor of WASI preview 1 (docs/wasm.md). Of a model and of containers: nothing.
   */
  readonly code: Uint8Array;
  /** Only for a model, and there always. */
  readonly model?: ModelSource;
  /** Only for containers, and there always. */
  readonly container?: ContainerSource;
  readonly env: Readonly<Record<string, string>>;
  /** Exactly "host" or "host:port" (https, port 443 unless given), or "http://host[:port]". Everything else is refused. */
  readonly outboundHosts: readonly string[];
  readonly limits: WorkloadLimits;
  /** What the handler finds in `ctx` beside the runtime's own. Default: nothing. */
  readonly services?: readonly ServiceName[];
  /** Whether the module's `scheduled(event, env, ctx)` is called too, for requests that say so. Kind 'function' alone. */
  readonly scheduled?: boolean;
  /** The date whose runtime behaviour the code was written for, such as "2026-11-01". */
  readonly compatibilityDate?: string;
  /** Whether the same request must give the same answer on every machine: of modules and functions, with `limits.fuel`. */
  readonly deterministic?: boolean;
};

/** The containers of an app, and where its calls go. */
export type ContainerSource = {
  /** In the order in which they are started. */
  readonly services: readonly ContainerService[];
  /** A TCP port on which one of them speaks HTTP/1.1. */
  readonly port: number;
  /** A socket of the worker that every container finds at `/var/run/dstack.sock`. Default: none. */
  readonly guestSocket?: string;
};

export type ContainerService = {
  /** By which the others reach it. */
  readonly name: string;
  /** As the driver's `loadImage` gave it. */
  readonly image: LoadedImage;
  /** In place of the image's, where they are given. */
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  /** Folders in memory, beside `/tmp`. */
  readonly tmpfs: readonly string[];
};

/** An image that the driver's engine has, checked. */
export type LoadedImage = {
  /** sha256 of its configuration, from which every byte of it follows. */
  readonly id: Hex;
  readonly config: ImageConfig;
};

export const modelEngineNames = ['llama-cpp', 'onnxruntime', 'onnxruntime-web'] as const;
export type ModelEngineName = (typeof modelEngineNames)[number];

/** What a model runs on. */
export type ModelSource = {
  readonly engine: ModelEngineName;
  /** What callers name it. */
  readonly name: string;
  /** A file of this machine, whose hash its owner has checked. Its processes see it read-only. */
  readonly weightsFile: string;
  /** Tokens that one call's prompt and answer may have together. */
  readonly contextTokens: number;
  /** Tokens of one answer. */
  readonly maxTokens: number;
};

export type WallName = 'network' | 'filesystem' | 'memory' | 'pids' | 'identity' | 'cpu' | 'systemCalls';

/** Whether one wall stands, what holds it up, and what is missing where it doesn't stand. */
export type Wall = { readonly present: boolean; readonly by: string; readonly missingReason?: string };

/** The walls around every process of a driver. A driver runs with what it can get: whether that is enough is its owner's decision. */
export type WallReport = { readonly [Name in WallName]: Wall };

/** Runs workloads of one kind. Life-cycle: `start`, then `open` as often as needed, then `stop`, which ends every tenant. */
export interface SandboxDriver {
  readonly kind: Workload['kind'];
  /** Which of the kind's runtimes, by their names in manifests. */
  readonly runtimes: readonly string[];
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
  invoke(
    request: InvocationRequest,
    options: {
      signal: AbortSignal;
      /** What stands behind the services that the workload names, for this invocation; one that is missing is refused to the handler. */
      services?: TenantServices;
    },
  ): Promise<Invocation>;
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
  /**
   * The body where it is still on its way, in place of `body`; kind 'function' alone. Read at the handler's pace, and to its end only where
   * the handler reads so far. What it throws ends the invocation.
   */
  readonly input?: AsyncIterable<Uint8Array>;
  /** Asks for a WebSocket: then `input` and the answer to a 101 are frames of core's socketFrames. With `input` and method GET alone. */
  readonly upgrade?: 'websocket';
  /** The round that the call belongs to, where it belongs to one: the handler sees it in the header `cloister-round`. */
  readonly round?: CallRound;
  /** Id of the app that calls, where the worker has made sure of it: the handler sees it in the header `cloister-caller-app`. */
  readonly caller?: string;
  /** Runs the handler `scheduled` with this event in place of `fetch`; the answer is 204 then. Only for workloads that are `scheduled`. */
  readonly scheduled?: ScheduledEvent;
};

/** What a run by schedule is told. */
export type ScheduledEvent = {
  /** When it was due, unix milliseconds. */
  readonly scheduledTime: number;
  /** Its schedule, as the manifest has it. */
  readonly cron: string;
  /** Stands for this schedule of this app and this time: the same however often it is run. */
  readonly id: string;
  /** From 1 on: 2 where a host began it that was lost. */
  readonly attempt: number;
};

/** The same for every worker that runs the call. */
export type CallRound = {
  /** When the round began, in milliseconds since 1970: what the clock of a deterministic function stands at. */
  readonly timeMs: number;
  /** The beacon's value: what everything random in a deterministic function follows from. */
  readonly seed: Hex;
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

/** 'fuel': counted instructions; 'stack': nested calls, where the same request must give the same answer everywhere. */
export type LimitName = 'wall' | 'memory' | 'cpu' | 'output' | 'pids' | 'fuel' | 'stack';

export type Outcome = {
  /** 'refused': the handler failed, and during the invocation the gate refused at least one host. */
  readonly status: 'ok' | 'app-error' | 'limit' | 'refused';
  /** Which limit, where the status is 'limit'. */
  readonly limit?: LimitName;
  /** Why it failed, in at most 1024 characters. May hold text of the code's choosing. */
  readonly message?: string;
  /** Hosts that the gate refused while this invocation was in progress. */
  readonly refusedHosts: readonly string[];
  /** What the runtime counted of a run, for kinds whose runtime does: a model's tokens and how they were chosen. */
  readonly report?: RunReport;
  readonly metering: Metering;
};

export type RunReport = { readonly [name: string]: RunReportValue };
export type RunReportValue = string | number | boolean | null | readonly RunReportValue[] | RunReport;

export type Metering = {
  readonly wallMs: number;
  /**
   * Processor time. Invocations of one tenant that overlap share what their process used evenly, and the next one carries
   * what an earlier one left running: their sum is what the process used.
   */
  readonly cpuMs: number;
  /** Bytes of the body that the tenant sent. */
  readonly outputBytes: number;
  /** Bytes of outbound requests and their answers that passed the gate, divided as `cpuMs` is; only for kinds that can reach hosts. */
  readonly outboundBytes?: number;
  /** The most memory that the tenant's process has held so far, its runtime included. */
  readonly peakMemoryBytes: number;
  /** Units of fuel that were used, where they are counted. */
  readonly fuel?: number;
};

export type LogLine = {
  readonly timeMs: number;
  readonly level: 'debug' | 'log' | 'info' | 'warn' | 'error' | 'system';
  readonly message: string;
};
