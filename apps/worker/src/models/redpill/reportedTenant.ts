import { createHash } from 'node:crypto';
import type { Json } from '@cloister/core';
import { fromHex, randomBytes, utf8 } from '@cloister/crypto';
import type { Invocation, InvocationRequest, LogLine, Tenant } from '@cloister/sandbox';
import { AnswerSigner } from './answerSigner.ts';
import { attestationReport, type QuotingDevice } from './attestationReport.ts';

export type ReportedTenantInit = { readonly device: QuotingDevice /** As requests name it. */; readonly model: string };

const signedPaths = new Set(['/v1/chat/completions', '/v1/completions']);
const reportPath = '/v1/attestation/report';
const signaturePath = '/v1/signature/';
/** Where an answer's id stands, whole or as the first event of a stream. */
const answerId = /^(?:data: )?\{"id":"((?:chatcmpl|cmpl)-[0-9a-f]{24})"/;
const idWithin = 128;
/** Quotes of an app at once: the machine makes them one by one, for everybody. */
const maxQuotes = 4;

/**
 * A model with the two endpoints by which clients of NEAR AI and RedPill check answers: `GET /v1/attestation/report` and
 * `GET /v1/signature/ID`. The worker itself answers them; nothing behind the walls can.
 */
export class ReportedTenant implements Tenant {
  readonly #tenant: Tenant;
  readonly #init: ReportedTenantInit;
  readonly #signer = new AnswerSigner();
  #quoting = 0;

  constructor(tenant: Tenant, init: ReportedTenantInit) {
    this.#tenant = tenant;
    this.#init = init;
  }

  async invoke(request: InvocationRequest, options: Parameters<Tenant['invoke']>[1]): Promise<Invocation> {
    const [pathname = '', ...query] = request.path.split('?');
    const searchParams = new URLSearchParams(query.join('?'));
    if (request.method === 'GET' && pathname === reportPath) return this.#report(searchParams, options.signal);
    if (request.method === 'GET' && pathname.startsWith(signaturePath))
      return this.#signature(pathname.slice(signaturePath.length), searchParams);
    const invocation = await this.#tenant.invoke(request, options);
    const isSigned = request.method === 'POST' && signedPaths.has(pathname) && invocation.status === 200;
    return isSigned ? { ...invocation, body: this.#watched(request, invocation) } : invocation;
  }

  logs(): readonly LogLine[] {
    return this.#tenant.logs();
  }

  async close(): Promise<void> {
    this.#signer.close();
    await this.#tenant.close();
  }

  /** The same bytes. Once they are whole, they can be asked for by their id. */
  async *#watched({ body }: InvocationRequest, invocation: Invocation): AsyncIterable<Uint8Array> {
    const hash = createHash('sha256');
    let start = '';
    for await (const bytes of invocation.body) {
      hash.update(bytes);
      if (start.length < idWithin) start += Buffer.from(bytes.subarray(0, idWithin)).toString('latin1');
      yield bytes;
    }
    const { status } = await invocation.finished;
    const id = answerId.exec(start)?.[1];
    if (status !== 'ok' || id === undefined) return;
    const asked = createHash('sha256').update(body).digest('hex');
    this.#signer.keep(id, `${asked}:${hash.digest('hex')}`);
  }

  async #report(query: URLSearchParams, signal: AbortSignal): Promise<Invocation> {
    const { device, model } = this.#init;
    const refused = refusedQuery(query, model);
    if (refused !== undefined) return refused;
    const nonce = query.get('nonce') ?? '';
    if (nonce !== '' && !/^[0-9a-fA-F]{64}$/.test(nonce))
      return refusal(400, 'invalid_value', '"nonce" must be 64 hexadecimal digits', 'nonce');
    if (this.#quoting >= maxQuotes)
      return refusal(503, 'busy', `At most ${maxQuotes} reports are made at once: ask again in a second`);
    this.#quoting += 1;
    try {
      const bytes = nonce === '' ? randomBytes(32) : fromHex(`0x${nonce}`);
      const report = await attestationReport(device, this.#signer.address, bytes, signal);
      if (report !== undefined) return answer(200, report);
      return refusal(
        404,
        'not_an_intel_quote',
        `This worker's evidence is of kind "${device.kind}", which has no such report`,
      );
    } finally {
      this.#quoting -= 1;
    }
  }

  #signature(id: string, query: URLSearchParams): Invocation {
    const refused = refusedQuery(query, this.#init.model);
    if (refused !== undefined) return refused;
    const signed = this.#signer.signed(id);
    if (signed === undefined)
      return refusal(
        404,
        'not_found',
        'No answer of this id ended here in the last ten minutes; ask the worker that gave it',
      );
    const signing = { signing_address: this.#signer.address, signing_algo: 'ecdsa' };
    return answer(200, { ...signed, ...signing });
  }
}

function refusedQuery(query: URLSearchParams, model: string): Invocation | undefined {
  const [named, algorithm] = [query.get('model') ?? model, query.get('signing_algo') ?? 'ecdsa'];
  if (named !== model)
    return refusal(404, 'model_not_found', `This app serves the model "${model}", and no other`, 'model');
  if (algorithm.toLowerCase() !== 'ecdsa')
    return refusal(400, 'unsupported_value', 'Answers are signed by "ecdsa" alone', 'signing_algo');
  return undefined;
}

function refusal(status: number, code: string, message: string, param: string | null = null): Invocation {
  return answer(status, { error: { message, type: 'invalid_request_error', param, code } });
}

/** An answer that the sandbox has no part in: nothing of it was measured there. */
function answer(status: number, json: { [key: string]: Json }): Invocation {
  const body = utf8(JSON.stringify(json));
  return {
    status,
    headers: [['content-type', 'application/json']],
    body: (async function* () {
      yield body;
    })(),
    finished: Promise.resolve({
      status: 'ok',
      refusedHosts: [],
      metering: { wallMs: 0, cpuMs: 0, outputBytes: body.length, peakMemoryBytes: 0 },
    }),
  };
}
