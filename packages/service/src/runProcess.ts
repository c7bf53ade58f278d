import { writeSync } from 'node:fs';
import { CloisterError, describeError, withDeadline } from '@cloister/core';
import { loadConfig, logLevelFromEnvironment } from './config.ts';
import { ConfigError, type ConfigSchema } from './configSchema.ts';
import { createLogger, type Logger } from './logger.ts';
import { watchParent } from './parentWatch.ts';

export type ProcessContext<T> = {
  readonly config: T;
  readonly log: Logger;
  /** Aborts when the process is to stop, even while it starts. */
  readonly signal: AbortSignal;
  /** Ends the process: one line, then `stop`, then exit code 1. For parts that fail beyond repair. */
  readonly fail: (error: unknown) => void;
};

export type RunningProcess = {
  /** Goes out on standard output as one JSON line, after `"ready": true`: ports, URLs, ids. */
  readonly ready: Readonly<Record<string, unknown>>;
  stop(): Promise<void>;
};

export type ProcessDefinition<T> = {
  readonly name: string;
  readonly config: ConfigSchema<T>;
  readonly start: (context: ProcessContext<T>) => Promise<RunningProcess>;
  /**
   * Whether an error that ends the process says that its operator wants it ended: then its exit code is 0, so that nobody who starts
   * again what has failed starts it again, and it says `"ended": true` with the error's code on standard output.
   */
  readonly endsForGood?: (error: unknown) => boolean;
  /** ms. @default 10_000 */
  readonly stopWithinMs?: number;
};

/** Exit codes: 0 stopped as asked or ended for good, 1 failed, 2 a configuration that can't be used, 130 told to stop twice. */
const exitCodes = { stopped: 0, failed: 1, configuration: 2, impatient: 130 } as const;

/**
 * The life of a process: reads its configuration, starts, says so on standard output, and stops once, at SIGINT,
 * SIGTERM, the launcher's end or a failure. It always ends: whatever hangs in `stop` is cut off.
 */
export function runProcess<T>(definition: ProcessDefinition<T>): void {
  let log = createLogger({ name: definition.name });
  const stopping = new AbortController();
  let running: Promise<RunningProcess> | undefined;

  const end = async (reason: string, exitCode: number): Promise<void> => {
    if (stopping.signal.aborted) return;
    stopping.abort(new Error(`The process stops: ${reason}`));
    log.info('process: stopping', { reason });
    try {
      await withDeadline({ timeoutMs: definition.stopWithinMs ?? 10_000, what: 'Stopping' }, async () =>
        (await running?.catch(() => undefined))?.stop(),
      );
    } catch (error) {
      log.error(`process: ${describeError(error)}`, { error });
      process.exit(exitCodes.failed);
    }
    process.exit(exitCode);
  };
  const fail = (error: unknown): void => {
    if (stopping.signal.aborted) {
      log.debug('process: failed while stopping', { error });
      return;
    }
    log.error(`process: ${describeError(error)}`, { error });
    if (definition.endsForGood?.(error) === true) {
      const reason = error instanceof CloisterError ? error.code : describeError(error);
      announce({ ended: true, name: definition.name, reason });
      void end(reason, exitCodes.stopped);
    } else void end('failure', error instanceof ConfigError ? exitCodes.configuration : exitCodes.failed);
  };

  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      if (stopping.signal.aborted) process.exit(exitCodes.impatient);
      void end(name, exitCodes.stopped);
    });

  try {
    log = createLogger({ name: definition.name, level: logLevelFromEnvironment() });
    const { config, launcher } = loadConfig(definition.config, process.argv.slice(2));
    watchParent(launcher, () => void end('the launcher is gone', exitCodes.stopped));
    running = definition.start({ config, log, signal: stopping.signal, fail });
    running
      .then(({ ready }) => announce({ ready: true, name: definition.name, pid: process.pid, ...ready }))
      .catch(fail);
  } catch (error) {
    fail(error);
  }
}

function announce(line: Readonly<Record<string, unknown>>): void {
  writeSync(
    1,
    `${JSON.stringify(line, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))}\n`,
  );
}
