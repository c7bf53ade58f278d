import { PassThrough, type Readable } from 'node:stream';

const headerBytes = 8;

/** Takes apart what the engine sends of a container's output: frames of a stream's number, a length, and bytes ("ContainerAttach"). */
export function splitFrames(source: Readable): { readonly stdout: Readable; readonly stderr: Readable } {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let header = Buffer.alloc(0);
  let left = 0;
  let target = stdout;
  source.on('data', (chunk: Buffer) => {
    let rest = chunk;
    let full = false;
    while (rest.length > 0) {
      if (left === 0) {
        const needed = headerBytes - header.length;
        header = Buffer.concat([header, rest.subarray(0, needed)]);
        rest = rest.subarray(needed);
        if (header.length < headerBytes) break;
        target = header[0] === 2 ? stderr : stdout;
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const part = rest.subarray(0, left);
      left -= part.length;
      rest = rest.subarray(part.length);
      full = !target.write(part) || full;
    }
    if (!full) return;
    // Whoever prints faster than it is read waits.
    source.pause();
    const waiting = [stdout, stderr].filter((stream) => stream.writableNeedDrain);
    let open = waiting.length;
    for (const stream of waiting)
      stream.once('drain', () => {
        open -= 1;
        if (open === 0) source.resume();
      });
  });
  const end = (): void => {
    stdout.end();
    stderr.end();
  };
  source.once('end', end).once('close', end).on('error', end);
  return { stdout, stderr };
}
