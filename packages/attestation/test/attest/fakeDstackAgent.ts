import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { quoteOver } from './attestWorld.ts';

export type FakeDstackAgent = {
  readonly socket: string;
  /** Paths asked for, in order. */
  readonly asked: string[];
  /** Answers in place of the good one. */
  answer: (path: string, body: Record<string, unknown>, response: ServerResponse) => void | Promise<void>;
  readonly stop: () => Promise<void>;
};

export const dstackInfo = {
  app_id: 'a0'.repeat(20),
  instance_id: 'b0'.repeat(20),
  app_cert: '-----BEGIN CERTIFICATE-----',
  tcb_info: '{}',
  app_name: 'worker',
  compose_hash: 'c0'.repeat(32),
  vm_config: '{}',
};
export const dstackEventLog = JSON.stringify([
  { imr: 3, event_type: 134217729, digest: '00'.repeat(48), event: 'app-id', event_payload: 'a0a0' },
]);

/** A guest agent on a real socket, as Dstack-TEE/dstack documents it: it fills report data up to 64 bytes with zeros. */
export async function startFakeDstackAgent(): Promise<FakeDstackAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-dstack-'));
  const socket = join(folder, 'dstack.sock');
  const agent: FakeDstackAgent = {
    socket,
    asked: [],
    answer: goodAnswer,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await rm(folder, { recursive: true, force: true });
    },
  };
  const server = createServer(async (request, response) => {
    const path = request.url ?? '';
    agent.asked.push(path);
    await agent.answer(path, await bodyOf(request), response);
  });
  server.listen(socket);
  await once(server, 'listening');
  return agent;
}

export function goodAnswer(path: string, body: Record<string, unknown>, response: ServerResponse): void {
  if (path === '/GetQuote') reply(response, quoteReply(reportDataOf(body)));
  else if (path === '/Info') reply(response, dstackInfo);
  else if (path === '/Version') reply(response, { version: '0.5.4', rev: 'abc' });
  else reply(response, { error: 'no such method' }, 404);
}

export function quoteReply(reportData: Uint8Array): Record<string, unknown> {
  return {
    quote: Buffer.from(quoteOver(reportData)).toString('hex'),
    event_log: dstackEventLog,
    report_data: Buffer.from(reportData).toString('hex'),
    vm_config: '{}',
  };
}

export function reportDataOf(body: Record<string, unknown>): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(Buffer.from(String(body.report_data), 'hex').subarray(0, 64));
  return bytes;
}

export function reply(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
}
