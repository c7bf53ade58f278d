import { type Bytes32, CloisterError, sleep, tagHash } from '@cloister/core';
import { keccak256, toHex, utf8 } from '@cloister/crypto';
import type { Invocation } from '@cloister/sandbox';
import type { RunClaim } from './scheduleBook.ts';
import type { SchedulerComponents, ServedVersion } from './schedulerComponents.ts';

/** With these the handler has not run, and may run in a moment. */
const passing: ReadonlySet<string> = new Set(['TENANT_BUSY', 'TENANT_RESTARTING']);
const pauseMs = 1_000;

/** What a handler knows a run by: the same for each attempt, on whichever host. */
export function scheduledRunId(app: Bytes32, cron: string, due: number): Bytes32 {
  return tagHash('cloister/scheduled: v1', app, toHex(keccak256(utf8(cron))), due);
}

/**
 * Runs the handler `scheduled` to its end, however it ends: what became of it stands in the app's log. Throws what isn't the code's doing; then it
 * may have run or not.
 */
export async function runScheduled(
  { apps, services, now }: Pick<SchedulerComponents, 'apps' | 'services' | 'now'>,
  { app, manifestId }: ServedVersion,
  cron: string,
  { due, attempt, until }: RunClaim,
  signal: AbortSignal,
): Promise<void> {
  const loaded = await apps.load(app, signal, manifestId);
  const scheduled = { scheduledTime: due * 1_000, cron, id: scheduledRunId(app, cron, due), attempt };
  const request = { method: 'POST', path: '/', headers: [], body: new Uint8Array(), scheduled };
  const given = services.of(loaded, 0);
  const invocation = await whenThereIsRoom(
    () => loaded.tenant.invoke(request, { signal, ...(given && { services: given }) }),
    () => now() < until,
    signal,
  );
  for await (const _ of invocation.body);
  await invocation.finished;
}

async function whenThereIsRoom(
  invoke: () => Promise<Invocation>,
  hasTime: () => boolean,
  signal: AbortSignal,
): Promise<Invocation> {
  for (;;) {
    try {
      return await invoke();
    } catch (error) {
      if (!(error instanceof CloisterError && passing.has(error.code)) || !hasTime()) throw error;
      await sleep(pauseMs, signal);
    }
  }
}
