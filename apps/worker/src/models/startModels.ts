import { type MemoryBudget, ModelDriver, SandboxError } from '@cloister/sandbox';
import type { Logger } from '@cloister/service';

export type ModelsInit = {
  readonly runDir: string;
  readonly enginesDir: string | undefined;
  readonly memory: MemoryBudget;
};

/** The sandbox for models; undefined, said in one line, where no engine is installed on this machine. */
export async function startModels(
  { runDir, enginesDir, memory }: ModelsInit,
  log: Logger,
  signal: AbortSignal,
): Promise<ModelDriver | undefined> {
  const driver = new ModelDriver({ runDir, memory, ...(enginesDir === undefined ? {} : { enginesDir }) });
  try {
    await driver.start({ signal });
    return driver;
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'START_FAILED') throw error;
    log.info('models: not offered', { reason: error.message });
    return undefined;
  }
}
