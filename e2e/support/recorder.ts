import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Records every byte of every connection through it, in both directions, and changes none. */
export class Recorder {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #chunks: Buffer[] = [];
  #url = '';
  #targetPort = 0;

  private constructor() {
    this.#server = createServer((socket) => this.#join(socket));
  }

  /** Listens on a free port of loopback; `forwardTo` says where to. */
  static async start(): Promise<Recorder> {
    const recorder = new Recorder();
    await new Promise<void>((resolve) => recorder.#server.listen(0, '127.0.0.1', resolve));
    recorder.#url = `http://127.0.0.1:${(recorder.#server.address() as AddressInfo).port}`;
    return recorder;
  }

  get url(): string {
    return this.#url;
  }

  /** Connections go to that URL's port from now on. */
  forwardTo(url: string): void {
    this.#targetPort = Number(new URL(url).port);
  }

  /** All that passed so far. */
  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(socket: Socket): void {
    const other = connect(this.#targetPort, '127.0.0.1');
    for (const [from, to] of [
      [socket, other],
      [other, socket],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        this.#chunks.push(Buffer.from(chunk));
        to.write(chunk);
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => this.#sockets.delete(from));
    }
  }
}
