import { createRequire } from 'node:module';
import { SandboxError } from '../sandboxError.ts';

/** The runtime's program, from the npm package for this kind of system. Throws START_FAILED where there is none. */
export function findWorkerd(): string {
  try {
    const found: unknown = createRequire(import.meta.url)('workerd');
    if (typeof found === 'object' && found !== null && 'default' in found && typeof found.default === 'string')
      return found.default;
    throw new TypeError('The package "workerd" does not name its program');
  } catch (error) {
    throw new SandboxError({
      code: 'START_FAILED',
      message: `There is no function runtime for "${process.platform} ${process.arch}"`,
      hint: 'Run "npm ci" on this machine: the runtime is an optional package, one for each kind of system',
      cause: error,
    });
  }
}
