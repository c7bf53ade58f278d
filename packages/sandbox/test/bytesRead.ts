import { readFileSync } from 'node:fs';

/** Bytes that this process has read so far, from whatever (proc(5), /proc/PID/io). */
export function bytesRead(): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}
