/** `{"id","gas"}` as people read it; any other line as it is. */
export function gasLine(line: string): string {
  try {
    const { id, gas } = JSON.parse(line) as { id?: unknown; gas?: unknown };
    if (typeof id === 'string' && typeof gas === 'number')
      return `${id.padEnd(32)}${gas.toLocaleString('en-US').padStart(12)}`;
  } catch {
    // Not one of ours: what a compiler says, for instance.
  }
  return line;
}
