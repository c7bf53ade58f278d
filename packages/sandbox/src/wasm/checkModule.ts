import { SandboxError } from '../sandboxError.ts';
import { admitModule } from './host/admitModule.ts';
import type { Entry } from './host/entry.ts';
import type { ConfineOptions } from './meter/confineModule.ts';
import { WasmRefusal } from './meter/wasmRefusal.ts';

/** Whether workers could run a module, before it is deployed: what they do with it, but for running it. Throws INVALID_WORKLOAD with the reason. */
export function checkModule(bytes: Uint8Array, options: ConfineOptions): Entry {
  try {
    return admitModule(bytes, options).entry;
  } catch (cause) {
    if (!(cause instanceof WasmRefusal)) throw cause;
    throw new SandboxError({
      code: 'INVALID_WORKLOAD',
      message: cause.message,
      meta: { code: cause.code },
      hint: 'docs/wasm.md says what a module may have',
      cause,
    });
  }
}
