import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';

export type BarePeerInit = {
  /** Where it listens: HTTP over a Unix socket. */
  readonly socketPath: string;
  /** The command, which writes something to descriptor 3 once it listens. */
  readonly command: readonly string[];
  /** What a call asks for. */
  readonly path: string;
  readonly body: Uint8Array;
};

/** A runtime as its documentation says: a process of its own, without walls, limits, gate and meter. */
export class BarePeer {
  readonly #init: BarePeerInit;
  #agent = new Agent({ keepAlive: true });
  #child: ChildProcess | undefined;

  constructor(init: BarePeerInit) {
    this.#init = init;
  }

  /** Of the process that runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it and waits until it listens; gives what stops it. */
  async start(): Promise<() => Promise<void>> {
    const {
      socketPath,
      command: [file = '', ...args],
    } = this.#init;
    await rm(socketPath, { force: true });
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
    this.#child = child;
    const control = child.stdio[3];
    if (control === null || control === undefined) throw new Error('Expected a control pipe');
    await once(control, 'data');
    return async () => {
      this.#agent.destroy();
      this.#agent = new Agent({ keepAlive: true });
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    };
  }

  call(): Promise<void> {
    const { socketPath, path, body } = this.#init;
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { agent: this.#agent, socketPath, method: 'POST', path, headers: { host: 'app.invalid' } },
        (answer) => {
          answer.resume();
          answer.once('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error('Expected an answer'))));
          answer.once('error', reject);
        },
      );
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }
}
