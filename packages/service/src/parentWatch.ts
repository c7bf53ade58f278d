import type { LauncherFlags } from './config.ts';

const pollMs = 500;

/**
 * Calls `onGone` once when the launcher is gone, however it ended: its end of our standard input closes, or another
 * process has become our parent. Returns what stops watching.
 */
export function watchParent(flags: LauncherFlags, onGone: () => void): () => void {
  let done = false;
  const gone = (): void => {
    if (done) return;
    stop();
    onGone();
  };
  const { stdin } = process;
  const timer =
    flags.parentPid === undefined ? undefined : setInterval(() => process.ppid !== flags.parentPid && gone(), pollMs);
  timer?.unref();
  if (flags.parentStdin) {
    for (const event of ['end', 'close', 'error'] as const) stdin.on(event, gone);
    stdin.resume();
  }
  function stop(): void {
    done = true;
    clearInterval(timer);
    if (!flags.parentStdin) return;
    for (const event of ['end', 'close'] as const) stdin.removeListener(event, gone);
    stdin.pause();
  }
  return stop;
}
