import {
  type FrameError,
  FrameMux,
  type FrameMuxOptions,
  type FrameStream,
  type FrameTimers,
} from '@cloister/channel/frame';

/** Timers that run when told to. */
export class ManualTimers implements FrameTimers {
  #now = 0;
  #next = 1;
  readonly #waiting = new Map<number, { at: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): unknown {
    this.#waiting.set(this.#next, { at: this.#now + ms, callback });
    return this.#next++;
  }

  clearTimeout(handle: unknown): void {
    this.#waiting.delete(handle as number);
  }

  get count(): number {
    return this.#waiting.size;
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#waiting].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (due === undefined) break;
      this.#waiting.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].callback();
    }
    this.#now = end;
  }
}

export type Side = {
  mux: FrameMux;
  /** Frames that this side sent, in order. */
  sent: Uint8Array[];
  streams: FrameStream[];
  controls: string[];
  closedWith: (FrameError | undefined)[];
};

type SideOptions = Partial<Pick<FrameMuxOptions, 'limits' | 'onStream' | 'send'>>;

/** Two muxes whose frames reach the other side at once, or when `deliver()` is called where `hold` is set. */
export function framePair(options: { gateway?: SideOptions; worker?: SideOptions; hold?: boolean } = {}) {
  const timers = new ManualTimers();
  const queues: { gateway: Uint8Array[]; worker: Uint8Array[] } = { gateway: [], worker: [] };
  const make = (role: 'gateway' | 'worker'): Side => {
    const other = role === 'gateway' ? 'worker' : 'gateway';
    const streams: FrameStream[] = [];
    const controls: string[] = [];
    const closedWith: (FrameError | undefined)[] = [];
    const sent: Uint8Array[] = [];
    const own = options[role] ?? {};
    const mux = new FrameMux({
      role,
      timers,
      ...(own.limits === undefined ? {} : { limits: own.limits }),
      send: (frame) => {
        sent.push(frame);
        queues[other].push(frame);
        if (options.hold !== true) queueMicrotask(deliver);
        return own.send?.(frame);
      },
      onStream: (stream) => {
        streams.push(stream);
        own.onStream?.(stream);
      },
      onControl: (message) => controls.push(new TextDecoder().decode(message)),
      onClose: (error) => closedWith.push(error),
    });
    return { mux, sent, streams, controls, closedWith };
  };
  const gateway = make('gateway');
  const worker = make('worker');
  function deliver(): void {
    for (let busy = true; busy; ) {
      const toWorker = queues.worker.shift();
      const toGateway = queues.gateway.shift();
      if (toWorker !== undefined) worker.mux.receive(toWorker);
      if (toGateway !== undefined) gateway.mux.receive(toGateway);
      busy = toWorker !== undefined || toGateway !== undefined;
    }
  }
  return { gateway, worker, timers, deliver };
}

/** Lets everything that waits only on promises run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export async function readAll(stream: FrameStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Bytes that tell their place. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + seed + (at >> 8)) & 0xff;
  return bytes;
}

/** A frame made by hand, unchecked. */
export function rawFrame(streamId: number, type: number, payload: Uint8Array | string = new Uint8Array()): Uint8Array {
  const body = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const bytes = new Uint8Array(8 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length * 256 + type);
  view.setUint32(4, streamId);
  bytes.set(body, 8);
  return bytes;
}
