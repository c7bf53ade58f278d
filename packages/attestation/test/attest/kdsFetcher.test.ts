import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toHex } from '@cloister/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kdsFetcher, snpQueryOf } from '../../src/attest/index.ts';
import { issueCrl, toPem } from '../../src/unsafe-simulated/index.ts';
import { fixture, hasFixtures } from '../fixtures.ts';
import { codeOf, never, now, root } from './attestWorld.ts';
import { answer } from './fakePccs.ts';

const chipId = Uint8Array.from({ length: 64 }, (_, index) => index + 1);
const chipHex = toHex(chipId).slice(2);
const tcb = { old: Uint8Array.of(3, 0, 0, 0, 0, 0, 20, 209), turin: Uint8Array.of(1, 2, 3, 4, 0, 0, 0, 75) };

/** An SNP report with what a query reads. */
function report(
  fields: { version?: number; family?: number; model?: number; tcb?: Uint8Array; key?: number; chip?: Uint8Array } = {},
): Uint8Array {
  const bytes = new Uint8Array(1184);
  bytes[0] = fields.version ?? 3;
  bytes[0x48] = (fields.key ?? 0) << 2;
  bytes.set(fields.tcb ?? tcb.old, 0x180);
  bytes[0x188] = fields.family ?? 0x19;
  bytes[0x189] = fields.model ?? 1;
  bytes.set(fields.chip ?? chipId, 0x1a0);
  return bytes;
}

describe('what a report asks for', () => {
  test.each([
    ['Milan', 0x19, 0x01, ['Milan']],
    ['Genoa', 0x19, 0x11, ['Genoa']],
    ['Bergamo', 0x19, 0xa0, ['Genoa']],
    ['Turin', 0x1a, 0x02, ['Turin']],
    ['Turin Dense', 0x1a, 0x11, ['Turin']],
  ])('%s', (_, family, model, products) => {
    expect(snpQueryOf(report({ family, model }))).toEqual({ products, signer: 'vcek', chipId, reportedTcb: tcb.old });
  });

  test('a report that does not say which processor may come from either of the first', () => {
    expect(snpQueryOf(report({ version: 2, family: 0xff })).products).toEqual(['Milan', 'Genoa']);
    expect(snpQueryOf(report({ key: 1, chip: new Uint8Array(64) })).signer).toBe('vlek');
  });

  test.each([
    ['another length', report().subarray(1)],
    ['a processor of another family', report({ family: 0x17 })],
    ['an unknown model', report({ model: 0x40 })],
    ['no signature', report({ key: 7 })],
    ['a masked chip id', report({ chip: new Uint8Array(64) })],
  ])('%s is refused by name', (_, bytes) => {
    expect(() => snpQueryOf(bytes)).toThrow(expect.objectContaining({ code: 'COLLATERAL_QUOTE_UNREADABLE' }));
  });

  test.runIf(hasFixtures)('real evidence: a report of Milan', () => {
    const real = Buffer.from(Buffer.from(fixture('snp/virtee/report_milan.hex')).toString().trim(), 'hex');
    expect(snpQueryOf(real)).toMatchObject({ products: ['Milan', 'Genoa'], signer: 'vcek' });
  });
});

describe('the key service', () => {
  const leaf = root.tcbSigner.certificate;
  const [intermediate, ark] = [root.pckCa.certificate, root.root.certificate];
  const crl = issueCrl({
    thisUpdate: now,
    nextUpdate: now + 1,
    issuer: root.root.commonName,
    signer: root.root.key,
    revoked: [],
  });
  let asked: string[];
  let instead: (path: string, response: ServerResponse) => boolean;
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    if (instead(path, response)) return;
    if (path.endsWith('/cert_chain')) answer(response, 200, toPem(intermediate, ark));
    else if (path.endsWith('/crl')) answer(response, 200, Buffer.from(crl));
    else answer(response, 200, Buffer.from(leaf));
  });
  const kds = () =>
    kdsFetcher({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, attempts: 2, pauseMs: 0 });
  const ask = (bytes: Uint8Array, host = {}) => kds().fetch(snpQueryOf(bytes), { signal: never, host });

  beforeEach(async () => {
    asked = [];
    instead = () => false;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  test('gives leaf, chain and list by chip and versions', async () => {
    expect(await ask(report())).toEqual({ product: 'Milan', leaf, intermediate, root: ark, crl });
    expect(asked).toEqual([
      `/vcek/v1/Milan/${chipHex}?blSPL=03&teeSPL=00&snpSPL=20&ucodeSPL=209`,
      '/vcek/v1/Milan/cert_chain',
      '/vcek/v1/Milan/crl',
    ]);
  });

  test("knows Turin's shorter chip ids and its other versions", async () => {
    await ask(report({ family: 0x1a, model: 2, tcb: tcb.turin }));
    expect(asked[0]).toBe(`/vcek/v1/Turin/${chipHex.slice(0, 16)}?fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=75`);
  });

  test('is not asked for versions that no product has', async () => {
    const tcb = Uint8Array.of(3, 0, 1, 0, 0, 0, 20, 209);
    expect(await codeOf(ask(report({ tcb })))).toBe('COLLATERAL_QUOTE_UNREADABLE');
    expect(asked).toEqual([]);
  });

  test('is asked for one product after the other where the report does not say', async () => {
    instead = (path, response) => path.includes('Milan') && answer(response, 404, '');
    expect((await ask(report({ version: 2 }))).product).toBe('Genoa');
    instead = (_, response) => answer(response, 404, '');
    expect(await codeOf(ask(report({ version: 2 })))).toBe('COLLATERAL_UNKNOWN_PLATFORM');
  });

  test.runIf(hasFixtures)('real evidence: is not asked for a certificate that the host gave, if it fits', async () => {
    const vcek = fixture('snp/virtee/vcek_milan.der');
    expect((await ask(report({ version: 2 }), { vcek })).leaf).toEqual(vcek);
    expect(asked).toEqual(['/vcek/v1/Milan/cert_chain', '/vcek/v1/Milan/crl']);
    asked = [];
    expect((await ask(report({ model: 0x11 }), { vcek })).leaf).toEqual(leaf);
    expect(asked).toHaveLength(3);
  });

  test('is asked where the host gave noise', async () => {
    for (const vcek of [new Uint8Array(0), new Uint8Array(500).fill(0x30), new Uint8Array(20_000), leaf])
      expect((await ask(report(), { vcek })).leaf).toEqual(leaf);
    expect(asked).toHaveLength(12);
  });

  test('gives no certificate of a loaded key: that is for the host', async () => {
    await expect(ask(report({ key: 1 }))).rejects.toMatchObject({
      code: 'COLLATERAL_UNAVAILABLE',
      hint: 'Have the host hand its VLEK certificate to its guests',
    });
    expect(asked).toEqual([]);
  });

  test('that is busy is waited for', async () => {
    let times = 0;
    instead = (_, response) => ++times === 1 && answer(response, 429, '', { 'retry-after': '0' });
    expect((await ask(report())).product).toBe('Milan');
    instead = (_, response) => answer(response, 429, '', { 'retry-after': '600' });
    expect(await codeOf(ask(report()))).toBe('COLLATERAL_UNAVAILABLE');
  });

  test.each([
    ['a leaf that is no DER', 'blSPL', 'not found', 'COLLATERAL_REPLY_MALFORMED'],
    ['a leaf without end', 'blSPL', Buffer.alloc(20_000, 0x30), 'COLLATERAL_REPLY_TOO_LARGE'],
    ['no chain', 'cert_chain', '', 'COLLATERAL_REPLY_MALFORMED'],
    ['a chain of one', 'cert_chain', toPem(intermediate), 'COLLATERAL_REPLY_MALFORMED'],
    ['a chain of three', 'cert_chain', toPem(intermediate, ark, leaf), 'COLLATERAL_REPLY_MALFORMED'],
    ['a list that is no DER', '/crl', '<html>', 'COLLATERAL_REPLY_MALFORMED'],
  ])('that gives %s is refused by name', async (_, part, body, code) => {
    instead = (path, response) => path.includes(part) && answer(response, 200, body);
    expect(await codeOf(ask(report()))).toBe(code);
  });

  test('an abort ends it', async () => {
    const reason = new Error('enough');
    await expect(kds().fetch(snpQueryOf(report()), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
