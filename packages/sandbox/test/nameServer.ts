import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import ipaddr from 'ipaddr.js';

/** What a name has: addresses of either kind, or another name that it stands for (CNAME). */
export type NameRecords = { readonly addresses?: readonly string[]; readonly alias?: string };

export type NameServer = {
  /** "address:port". */
  readonly address: string;
  /** Names that were asked for, in order, once for each question. */
  readonly asked: string[];
  close(): void;
};

const types = { a: 1, cname: 5, aaaa: 28 } as const;

/** A name server on loopback (RFC 1035), whose answers the test gives at the moment of each question. */
export async function startNameServer(recordsOf: (name: string) => NameRecords | undefined): Promise<NameServer> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (query, from) => {
    const { name, type, end } = questionOf(query);
    asked.push(name);
    const answers = answersTo(name, type, recordsOf);
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    // An answer, recursion available; 3 where there is no such name.
    head.writeUInt16BE(0x8180 | (answers === undefined ? 3 : 0), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers?.length ?? 0, 6);
    socket.send(Buffer.concat([head, query.subarray(12, end), ...(answers ?? [])]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, asked, close: () => socket.close() };
}

/** All records of a chain of aliases, as a recursive server gives them; undefined for a name that there is none of. */
function answersTo(
  name: string,
  type: number,
  recordsOf: (name: string) => NameRecords | undefined,
): readonly Buffer[] | undefined {
  const answers: Buffer[] = [];
  let current = name;
  for (let step = 0; step < 8; step += 1) {
    const found = recordsOf(current);
    if (found === undefined) return step === 0 ? undefined : answers;
    if (found.alias === undefined) {
      for (const address of found.addresses ?? []) {
        const bytes = Buffer.from(ipaddr.parse(address).toByteArray());
        const kind = bytes.length === 4 ? types.a : types.aaaa;
        if (kind === type) answers.push(record(current, kind, bytes));
      }
      return answers;
    }
    answers.push(record(current, types.cname, encodeName(found.alias)));
    current = found.alias;
  }
  return answers;
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += length + 1;
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function record(name: string, type: number, data: Buffer): Buffer {
  const fields = Buffer.alloc(10);
  fields.writeUInt16BE(type, 0);
  fields.writeUInt16BE(1, 2);
  fields.writeUInt16BE(data.length, 8);
  return Buffer.concat([encodeName(name), fields, data]);
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label, 'latin1')]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}
