import type { RunReport } from '../../wasm/host/frames.ts';
import { deterministicStackSlots } from '../../wasm/meter/addedNames.ts';
import { EngineFailure, type QuickJs } from './quickJs.ts';

/** How a run ended. `failure` is what was thrown, if anything was. */
export function judge(engine: QuickJs | undefined, given: number, failure?: unknown): RunReport {
  if (engine === undefined) return judgeStart(failure);
  const left = engine.fuelLeft;
  const fuel = Math.min(given, given - Number(left));
  const limit = (name: 'memory' | 'fuel' | 'stack', message: string): RunReport => ({
    status: 'limit',
    limit: name,
    message,
    fuel,
  });
  if (left < 0n) return limit('fuel', `The call needs more than ${given} units of fuel`);
  if (failure === undefined) return { status: 'ok', fuel };
  if (engine.stackPassed) return limit('stack', `The calls are nested deeper than ${deterministicStackSlots} values`);
  if (engine.memoryRefused) return limit('memory', 'The app passed its memory limit');
  return { status: 'app-error', message: messageOf(failure), fuel };
}

/** The machine had no memory for an instance, or the program is wrong. */
function judgeStart(failure: unknown): RunReport {
  if (failure instanceof RangeError && /memory/i.test(failure.message))
    return { status: 'limit', limit: 'memory', message: 'The app passed its memory limit' };
  return { status: 'app-error', message: messageOf(failure) };
}

function messageOf(failure: unknown): string {
  if (failure instanceof EngineFailure) return failure.message;
  if (failure instanceof WebAssembly.RuntimeError) return `The engine trapped: ${failure.message}`;
  return failure instanceof Error ? `The engine failed: ${failure.message}` : 'The engine failed';
}
