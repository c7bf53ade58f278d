import { sleep } from '@cloister/core';
import { randomBytes, toHex } from '@cloister/crypto';
import { type SystemFiles, systemFiles } from '../systemFiles.ts';
import { Turns, waitFor } from '../waiting.ts';
import {
  probeTsmProvider,
  readTsmReport,
  type TsmOptions,
  type TsmProvider,
  type TsmReport,
  type TsmRequest,
} from './tsmReport.ts';

export type TsmReportsInit = {
  /** Default: this machine's. */
  readonly files?: SystemFiles | undefined;
  /** Default: `/sys/kernel/config/tsm/report`. */
  readonly reportFolder?: string | undefined;
  /** For one report, waiting for others included. The kernel gives a host's quoting service 30 s. Default: 60 s. */
  readonly timeoutMs?: number | undefined;
  /** Before the second attempt of a request that was disturbed, doubled before each further one. Default: 100 ms. */
  readonly pauseMs?: number | undefined;
};

export const tsmReportFolder = '/sys/kernel/config/tsm/report';
const maxWaiting = 16;

/** The reports of this machine, one after the other: a host makes one quote at a time and refuses a second. */
export class TsmReports {
  readonly #options: TsmOptions;
  readonly #timeoutMs: number;
  readonly #turns = new Turns(maxWaiting, 'The TEE');

  constructor(init: TsmReportsInit = {}) {
    const pauseMs = init.pauseMs ?? 100;
    this.#options = {
      files: init.files ?? systemFiles,
      reportFolder: init.reportFolder ?? tsmReportFolder,
      uniqueName: () => `cloister-${process.pid}-${toHex(randomBytes(8)).slice(2)}`,
      pause: (attempt) => sleep(pauseMs * 2 ** (attempt - 1)),
    };
    this.#timeoutMs = init.timeoutMs ?? 60_000;
  }

  /** Throws DeviceError; rejects with the signal's reason. The entry is removed even where nobody waits any more. */
  read(request: TsmRequest, signal: AbortSignal): Promise<TsmReport> {
    return this.#wait(
      this.#turns.take(() => readTsmReport(request, this.#options), signal),
      signal,
    );
  }

  /** The kernel's provider. Throws DeviceError; rejects with the signal's reason. */
  provider(signal: AbortSignal): Promise<TsmProvider> {
    return this.#wait(
      this.#turns.take(() => probeTsmProvider(this.#options), signal),
      signal,
    );
  }

  #wait<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
    return waitFor(work, { signal, timeoutMs: this.#timeoutMs, what: 'The TEE' });
  }
}
