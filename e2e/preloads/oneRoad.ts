// Loaded before a program (`--import FILE?port=N`): whatever it dials goes to port N of loopback instead, and says there first, in a line
// of its own, where it wanted to go. So who listens there holds the only road that it has to anybody.
import { Socket } from 'node:net';

const port = Number(new URL(import.meta.url).searchParams.get('port'));
if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error('Expected oneRoad.ts?port=N');
const dial = Socket.prototype.connect as (this: Socket, ...args: readonly unknown[]) => Socket;

Socket.prototype.connect = function connect(this: Socket, ...args: unknown[]): Socket {
  // net.connect hands over its arguments as one list, already put in order: options, and a listener or null.
  const [first, second] = Array.isArray(args[0]) ? (args[0] as unknown[]) : args;
  const options = first as { readonly host?: string; readonly port?: number | string; readonly path?: string };
  if (typeof options !== 'object' || options.path !== undefined || options.port === undefined)
    return dial.apply(this, args);
  dial.call(this, { host: '127.0.0.1', port }, ...(typeof second === 'function' ? [second] : []));
  this.write(`${options.host ?? '127.0.0.1'}:${options.port}\n`);
  return this;
} as typeof Socket.prototype.connect;
