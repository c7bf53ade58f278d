import { Socket } from 'node:net';

type Written = (error?: Error | null) => void;

/**
 * A connection to a Unix socket that still hears what the other end said before it went: bytes that are written after that are dropped, in
 * place of ending the connection with the answer unread.
 */
export class LastWordSocket extends Socket {
  /** The error of the first write that the other end did not take: it takes nothing more. */
  left: Error | undefined;

  constructor(path: string) {
    super();
    this.connect(path);
  }

  override _write(chunk: unknown, encoding: BufferEncoding, callback: Written): void {
    super._write(chunk, encoding, this.#patient(callback));
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], callback: Written): void {
    super._writev?.(chunks, this.#patient(callback));
  }

  #patient(callback: Written): Written {
    return (error) => {
      // Reading goes on to the end, which ends the connection.
      if (error && 'code' in error && error.code === 'EPIPE') this.left ??= error;
      callback(this.left === undefined ? error : null);
    };
  }
}
