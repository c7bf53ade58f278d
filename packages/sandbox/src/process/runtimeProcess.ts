import type { ServiceDoor } from '../door/serviceDoor.ts';
import type { Exchange, ExchangeHandlers, UnixRequest } from '../http/exchange.ts';
import type { LimitName, RunReport, Workload } from '../sandbox.ts';
import type { TenantLog } from '../tenantLog.ts';
import type { ProcessExit } from './processExit.ts';

/** How a run ended, where the runtime says so itself. */
export type RuntimeReport = {
  readonly status: 'ok' | 'app-error' | 'limit';
  readonly limit?: LimitName;
  readonly message?: string;
  /** Units of fuel that were used, where they are counted. */
  readonly fuel?: number;
  /** What else it counted, for receipts. */
  readonly run?: RunReport;
};

export type RuntimeHandlers = Omit<ExchangeHandlers, 'end'> & { readonly end: (report?: RuntimeReport) => void };

/** All processes of a tenant, whatever holds them: they begin together, and end together. */
export interface Confined {
  /** Settles when they are gone. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Have ended, or are about to: nothing can be asked of them any more. */
  readonly ended: boolean;
  /** Processor time used so far. */
  cpuNanoseconds(): number;
  /** Memory held at the moment. */
  residentBytes(): number;
  /** The most memory held so far. */
  peakMemoryBytes(): number;
  /** Stops their clock: they get no processor time until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends them at once and without asking them. */
  kill(): void;
}

/** A process of a runtime: first without a tenant, then, once and for ever, with one. */
export interface RuntimeProcess {
  readonly confined: Confined;
  /** Where the tenant is called. */
  readonly data: { send(request: UnixRequest, handlers: RuntimeHandlers): Exchange };
  /** Tells the runtime's own reports of failures from what the tenant answers, where it puts them into answers. */
  readonly failureMark: string | undefined;
  /** By which the tenant reaches the services that it is given, for kinds that can be given any. */
  readonly door?: ServiceDoor;
  /** Bytes that have passed the gate, both ways, for kinds that can reach hosts. */
  readonly outboundBytes?: () => number;
  /** The runtime has said that it got no more memory. */
  readonly memoryExhausted: boolean;
  /**
   * Gives the process its tenant; what the code is like is found out by the first call.
   * @param source the code as text, for kinds whose code is text
   */
  load(
    workload: Workload,
    source: string,
    log: TenantLog,
    refused: (host: string) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** Whether the process answers within the time: code that never pauses may let nothing else run. */
  answers(deadlineMs: number): Promise<boolean>;
}
