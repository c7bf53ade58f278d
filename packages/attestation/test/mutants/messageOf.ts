import { AttestationError } from '../../src/verify/index.ts';

/**
 * `ok`, or `CODE at place: message`. Where several checks refuse one input with one code, only the message tells them apart: a
 * check that is gone shows in it. Anything that is not ours escapes.
 */
export function messageOf(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (error instanceof AttestationError) return `${error.code} at ${error.place}: ${error.message}`;
    throw error;
  }
}

/** As {@link messageOf}, for what answers later. */
export async function laterMessageOf(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
    return 'ok';
  } catch (error) {
    if (error instanceof AttestationError) return `${error.code} at ${error.place}: ${error.message}`;
    throw error;
  }
}
