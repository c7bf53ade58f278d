let interrupted = false;

/**
 * From now on Ctrl-C and SIGTERM no longer end this process at once: children end (a terminal tells them itself,
 * `runProcess` passes SIGTERM on), and loops over work ask {@link isInterrupted} before the next piece. A second
 * Ctrl-C ends it.
 */
export function endInOrder(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (interrupted) process.exit(130);
      interrupted = true;
    });
}

export function isInterrupted(): boolean {
  return interrupted;
}
