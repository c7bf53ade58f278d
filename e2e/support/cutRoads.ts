import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A name is at most 253 characters, a port five. */
const maxPlaceBytes = 300;

/**
 * Roads of one process that a test can cut and open again: one in, in front of where it listens, and one out, for everything that it
 * dials (`e2e/preloads/oneRoad.ts`). While they are cut, nothing passes in either direction and nobody is told so: connections that
 * stood fall silent, new ones are taken and never answered. Opening ends all of those.
 */
export class CutRoads {
  readonly #in: Server;
  readonly #out: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  #passed = 0;

  private constructor(target: number) {
    this.#in = createServer((socket) => this.#relay(socket, { host: '127.0.0.1', port: target }));
    this.#out = createServer((socket) => this.#readPlace(socket));
  }

  /** @param target where the process listens on loopback */
  static async start(target: number): Promise<CutRoads> {
    const roads = new CutRoads(target);
    for (const server of [roads.#in, roads.#out])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return roads;
  }

  /** Where others reach it. */
  get url(): string {
    return `http://127.0.0.1:${portOf(this.#in)}`;
  }

  /** Where it dials. */
  get outPort(): number {
    return portOf(this.#out);
  }

  /** Bytes that have passed, both ways together. */
  get passed(): number {
    return this.#passed;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  open(): void {
    this.#isCut = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    for (const server of [this.#in, this.#out]) {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of this.#sockets) socket.destroy();
      await closed;
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    if (this.#isCut) socket.pause();
  }

  /** The first line of a connection from inside says where it was to go. */
  #readPlace(socket: Socket): void {
    let head = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\n');
      if (end === -1 && head.length <= maxPlaceBytes) return;
      socket.off('data', onData);
      const [, host = '', port = ''] = /^(.+):([0-9]+)$/.exec(head.subarray(0, Math.max(0, end)).toString()) ?? [];
      if (host === '') return void socket.destroy();
      socket.pause();
      this.#relay(socket, { host, port: Number(port) }, head.subarray(end + 1));
    };
    socket.on('data', onData);
    this.#keep(socket);
  }

  #relay(near: Socket, place: { readonly host: string; readonly port: number }, first?: Buffer): void {
    const far = connect(place);
    for (const socket of [near, far]) if (!this.#sockets.has(socket)) this.#keep(socket);
    if (first !== undefined && first.length > 0) far.write(first);
    this.#pass(near, far);
    this.#pass(far, near);
    if (!this.#isCut) near.resume();
  }

  #pass(from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => {
      if (this.#isCut) return;
      this.#passed += chunk.length;
      to.write(chunk);
    });
    from.on('end', () => {
      if (!this.#isCut) to.end();
    });
    from.on('close', () => to.destroy());
  }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
