import { ContainerDriver, type ContainerDriverOptions, SandboxError } from '@cloister/sandbox';
import type { Logger } from '@cloister/service';

export type ContainersInit = Required<
  Pick<ContainerDriverOptions, 'runDir' | 'storageDir' | 'maxImageBytes' | 'memory'>
>;

/** The sandbox for containers; undefined, said in one line, where this machine has no engine for them. */
export async function startContainers(
  init: ContainersInit,
  log: Logger,
  signal: AbortSignal,
): Promise<ContainerDriver | undefined> {
  const driver = new ContainerDriver(init);
  try {
    await driver.start({ signal });
    return driver;
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'START_FAILED') throw error;
    log.info('containers: not offered', { reason: error.message });
    return undefined;
  }
}
