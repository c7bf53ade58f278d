import type { Readable } from 'node:stream';
import type { ConfinedProcess } from '../process/confinedProcess.ts';
import type { LogLine } from '../sandbox.ts';

export type OutputSink = {
  readonly add: (level: LogLine['level'], message: string) => void;
  /** A line of the runtime that isn't one of its log entries, such as what it says when it gives up. */
  readonly raw: (line: string) => void;
  readonly memoryExhausted: () => void;
};

const maxLineBytes = 16 * 1024;
/** A tenant that prints more than this in a second waits for the rest of the second. */
const bytesPerSecond = 2 * 1024 * 1024;
/** What a piece counts for at least: to read one costs as much, however small it is. */
const leastPieceBytes = 1024;
/** The same for a line. */
const leastLineBytes = 64;

/** Reads what the runtime and the tenant in it print. Never passes any of it to this process's own output. */
export function captureOutput(process: ConfinedProcess, sink: OutputSink): void {
  for (const stream of [process.stdout, process.stderr]) readLines(stream, (line) => record(line, sink));
}

/** Hands over each line, cut where it is too long; whoever writes faster than a tenant may waits. */
export function readLines(stream: Readable, lineRead: (line: string) => void): void {
  let rest = Buffer.alloc(0);
  let lines = 0;
  const onLine = (line: string): void => {
    lines += 1;
    lineRead(line);
  };
  let windowStart = 0;
  let windowBytes = 0;
  stream.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      onLine(rest.subarray(0, Math.min(end, maxLineBytes)).toString('utf8'));
      rest = rest.subarray(end + 1);
    }
    // The rest of a line that is too long comes out as lines of its own.
    if (rest.length > maxLineBytes) {
      onLine(rest.subarray(0, maxLineBytes).toString('utf8'));
      rest = Buffer.alloc(0);
    }
    const now = performance.now();
    if (now - windowStart > 1000) {
      windowStart = now;
      windowBytes = 0;
    }
    windowBytes += Math.max(chunk.length, leastPieceBytes, lines * leastLineBytes);
    lines = 0;
    if (windowBytes < bytesPerSecond) return;
    // The pipe fills and the tenant waits: a flood of lines costs it its own time, not ours.
    stream.pause();
    setTimeout(() => stream.resume(), windowStart + 1000 - now).unref();
  });
  stream.on('error', () => {});
}

const tenantLevels: { readonly [level: string]: LogLine['level'] } = {
  debug: 'debug',
  log: 'log',
  info: 'info',
  warn: 'warn',
  error: 'error',
};

function record(line: string, sink: OutputSink): void {
  if (line === '') return;
  const entry = parseEntry(line);
  // The runtime's own messages name their place in its source; the tenant's don't.
  if (entry !== undefined && !entry.own) {
    sink.add(tenantLevels[entry.level] ?? 'log', entry.message);
    return;
  }
  const message = entry?.message ?? line;
  if (memoryMessage.test(message)) sink.memoryExhausted();
  if (entry === undefined) sink.raw(line);
  else sink.add('system', withoutStack(message));
}

/** What the JavaScript engine and the allocator say when they get no more memory. */
const memoryMessage = /allocation failed|out of memory|Unable to allocate|Cannot allocate memory/i;

function parseEntry(line: string): { level: string; message: string; own: boolean } | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('message' in value) || !('level' in value)) return undefined;
    if (typeof value.message !== 'string' || typeof value.level !== 'string') return undefined;
    return { level: value.level, message: value.message, own: 'source' in value };
  } catch {
    return undefined;
  }
}

/** Addresses in the runtime's program say nothing to an app's developer. */
function withoutStack(message: string): string {
  return message.replace(/\s*stack:( \S+@\S+)+/g, '');
}
