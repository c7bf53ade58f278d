import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type CollateralFetcher,
  collateralQueryOf,
  collateralSource,
  intelPcsUrl,
  type PccsFetcherInit,
  pccsFetcher,
} from '../../src/attest/index.ts';
import { makeSimulatedRoot, mintCollateral } from '../../src/unsafe-simulated/index.ts';
import type { Collateral } from '../../src/verify/index.ts';
import { codeOf, collateralAt, gate, never, now, otherPlatform, quoteOver, root } from './attestWorld.ts';
import { answer, encoded, type FakePccs, signedBody, startFakePccs } from './fakePccs.ts';

const good = collateralAt();
const quote = quoteOver(new Uint8Array(64));
const query = collateralQueryOf(quote);

let pccs: FakePccs;
beforeEach(async () => {
  pccs = await startFakePccs(good);
});
afterEach(() => pccs.stop());

const fetcher = (init: Partial<PccsFetcherInit> = {}): CollateralFetcher =>
  pccsFetcher({ url: pccs.url, pauseMs: 0, ...init });
const fetched = (init: Partial<PccsFetcherInit> = {}): Promise<Collateral> =>
  fetcher(init).fetch(query, { signal: never });
const source = (init: Partial<PccsFetcherInit> = {}) =>
  collateralSource({ fetchers: [fetcher(init)], roots: [root.trustRoot], now: () => now });

/** Other answers for the paths that contain a text. */
function instead(part: string, work: FakePccs['instead']): void {
  pccs.instead = (path, response) => path.includes(part) && work(path, response);
}

test('reads which collateral a quote needs from its own chain', () => {
  expect(query).toEqual({ teeType: 'tdx', fmspc: 'de5100000000', ca: 'platform' });
  expect(collateralQueryOf(quoteOver(new Uint8Array(64), {}, otherPlatform)).fmspc).toBe('de5109090909');
  for (const broken of [new Uint8Array(0), quote.subarray(0, 900), quoteOver(new Uint8Array(64), { chain: [] })])
    expect(() => collateralQueryOf(broken)).toThrow(expect.objectContaining({ code: 'COLLATERAL_QUOTE_UNREADABLE' }));
});

test('gets every part, bytes as they were signed, and asks each address once', async () => {
  expect(await fetched()).toEqual(good);
  expect([...pccs.asked].sort()).toEqual([
    '/sgx/certification/v4/pckcrl?ca=platform&encoding=der',
    '/sgx/certification/v4/rootcacrl',
    '/tdx/certification/v4/qe/identity',
    '/tdx/certification/v4/tcb?fmspc=de5100000000',
  ]);
  expect(await source().collateralFor(quote, { signal: never })).toEqual(good);
});

test("asks for the other CA's list and for SGX where the quote says so", async () => {
  const asked: string[] = [];
  const fetch = async (url: string | URL | Request) => {
    asked.push(new URL(String(url)).pathname + new URL(String(url)).search);
    return new Response('', { status: 404 });
  };
  const sgx = { teeType: 'sgx', fmspc: '00606a000000', ca: 'processor' } as const;
  expect(await codeOf(fetcher({ fetch }).fetch(sgx, { signal: never }))).toBe('COLLATERAL_UNKNOWN_PLATFORM');
  expect(asked.sort()).toEqual([
    '/sgx/certification/v4/pckcrl?ca=processor&encoding=der',
    '/sgx/certification/v4/qe/identity',
    '/sgx/certification/v4/rootcacrl',
    '/sgx/certification/v4/tcb?fmspc=00606a000000',
  ]);
});

test("Intel's own service has the root's list elsewhere", async () => {
  const asked: string[] = [];
  const fetch = async (url: string | URL | Request) => {
    asked.push(String(url));
    return new Response('', { status: 404 });
  };
  await codeOf(pccsFetcher({ url: `${intelPcsUrl}/`, fetch }).fetch(query, { signal: never }));
  expect(asked).toContain('https://certificates.trustedservices.intel.com/IntelSGXRootCA.der');
  expect(asked.every((url) => url.startsWith('https://'))).toBe(true);
});

test('takes lists in hexadecimal, quoted too, in DER, and the older header name', async () => {
  for (const body of [
    good.root_ca_crl.toUpperCase(),
    `"${good.root_ca_crl}"\n`,
    Buffer.from(good.root_ca_crl, 'hex'),
  ]) {
    instead('rootcacrl', (_, response) => answer(response, 200, body));
    expect((await fetched()).root_ca_crl).toBe(good.root_ca_crl);
  }
  instead('/tcb?', (_, response) =>
    answer(response, 200, `${signedBody('tcbInfo', good.tcb_info, good.tcb_info_signature)}\n`, {
      'SGX-TCB-Info-Issuer-Chain': encoded(good.tcb_info_issuer_chain),
    }),
  );
  expect(await fetched()).toEqual(good);
});

describe('what passes is waited for', () => {
  test.each([429, 500, 502, 503, 504])('status %d', async (status) => {
    let times = 0;
    instead('/tcb?', (_, response) => ++times < 3 && answer(response, status, ''));
    expect(await fetched()).toEqual(good);
    expect(times).toBe(3);
  });

  test('but not for ever', async () => {
    instead('/tcb?', (_, response) => answer(response, 503, ''));
    await expect(fetched()).rejects.toMatchObject({ code: 'COLLATERAL_UNAVAILABLE', retry: true });
    expect(pccs.asked.filter((path) => path.includes('/tcb?'))).toHaveLength(3);
  });

  test('as long as the service asks, within bounds', async () => {
    instead('/tcb?', (_, response) => answer(response, 429, '', { 'retry-after': '3600' }));
    expect(await codeOf(fetched())).toBe('COLLATERAL_UNAVAILABLE');
    expect(pccs.asked.filter((path) => path.includes('/tcb?'))).toHaveLength(1);
    let times = 0;
    instead('/tcb?', (_, response) => ++times < 2 && answer(response, 503, '', { 'retry-after': '0' }));
    expect(await fetched()).toEqual(good);
  });

  test('a connection that breaks is tried again', async () => {
    let times = 0;
    instead('/qe/identity', (_, response) => {
      if (++times > 1) return false;
      response.destroy();
      return true;
    });
    expect(await fetched()).toEqual(good);
  });

  test('nobody at the address', async () => {
    const { url } = pccs;
    await pccs.stop();
    expect(await codeOf(pccsFetcher({ url, pauseMs: 0 }).fetch(query, { signal: never }))).toBe(
      'COLLATERAL_UNAVAILABLE',
    );
    pccs = await startFakePccs(good);
  });

  test('an abort ends it, with its reason', async () => {
    const held = gate();
    instead('/tcb?', () => {
      held.open();
      return true;
    });
    const controller = new AbortController();
    const reason = new Error('enough');
    const waiting = fetcher().fetch(query, { signal: controller.signal });
    await held.opened;
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  test('a service that begins and never ends is given up on', async () => {
    instead('/tcb?', (_, response) => {
      response.writeHead(200);
      response.write('{"tcbInfo":');
      return true;
    });
    expect(await codeOf(fetched({ timeoutMs: 20, attempts: 1 }))).toBe('COLLATERAL_UNAVAILABLE');
  });
});

test('a platform that the service does not know is told so, at once', async () => {
  instead('/tcb?', (_, response) => answer(response, 404, ''));
  await expect(fetched()).rejects.toMatchObject({ code: 'COLLATERAL_UNKNOWN_PLATFORM', retry: false });
  expect(pccs.asked.filter((path) => path.includes('/tcb?'))).toHaveLength(1);
});

test.each([401, 403, 204])('status %d is not waited for', async (status) => {
  instead('/tcb?', (_, response) => answer(response, status, ''));
  expect(await codeOf(fetched())).toBe('COLLATERAL_UNAVAILABLE');
  expect(pccs.asked.filter((path) => path.includes('/tcb?'))).toHaveLength(1);
});

test('a redirect is not followed', async () => {
  instead('/tcb?', (_, response) => answer(response, 302, '', { location: `${pccs.url}/elsewhere` }));
  expect(await codeOf(fetched({ attempts: 1 }))).toBe('COLLATERAL_UNAVAILABLE');
  expect(pccs.asked).not.toContain('/elsewhere');
});

describe('replies of another form are refused by name', () => {
  const chain = { 'TCB-Info-Issuer-Chain': encoded(good.tcb_info_issuer_chain) };
  const body = signedBody('tcbInfo', good.tcb_info, good.tcb_info_signature);
  test.each([
    ['no chain in the headers', '/tcb?', body, {}],
    ['a chain that is not percent-encoded', '/tcb?', body, { 'TCB-Info-Issuer-Chain': '%zz' }],
    ['no JSON', '/tcb?', '<html></html>', chain],
    ['another name', '/tcb?', body.replace('tcbInfo', 'tcbinfo'), chain],
    ['more after the signature', '/tcb?', body.replace(/\}$/, ',"x":1}'), chain],
    ['a short signature', '/tcb?', body.replace(/"signature":"../, '"signature":"'), chain],
    ['a signature in front', '/tcb?', `{"signature":"${good.tcb_info_signature}","tcbInfo":${good.tcb_info}}`, chain],
    ['a list', '/tcb?', signedBody('tcbInfo', '[]', good.tcb_info_signature), chain],
    ['no UTF-8', '/tcb?', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), chain],
    ['nothing', '/tcb?', '', chain],
    ['a list that is no DER', 'rootcacrl', 'deadbeef', {}],
    ['a list of half a byte', 'rootcacrl', '308', {}],
    ['no list', 'rootcacrl', '', {}],
  ])('%s', async (_, part, reply, headers) => {
    instead(part, (__, response) => answer(response, 200, reply, headers));
    expect(await codeOf(fetched())).toBe('COLLATERAL_REPLY_MALFORMED');
  });

  test('a body without end', async () => {
    instead('/tcb?', (_, response) => answer(response, 200, Buffer.alloc(300 * 1024, 0x20), chain));
    expect(await codeOf(fetched())).toBe('COLLATERAL_REPLY_TOO_LARGE');
  });
});

describe('a service that lies is refused by name', () => {
  const lies = (work: (collateral: Collateral) => Collateral) => {
    pccs.collateral = work(good);
    return codeOf(source().collateralFor(quote, { signal: never }));
  };

  test("another platform's TCB info", async () => {
    const other = mintCollateral(root, {
      issuedAt: now - 3600,
      editTcbInfo: (info) => ({ ...info, fmspc: 'DE5109090909' }),
    });
    await expect(
      (async () => {
        pccs.collateral = other;
        await source().collateralFor(quote, { signal: never });
      })(),
    ).rejects.toMatchObject({
      code: 'COLLATERAL_MISMATCH',
      meta: { what: 'FMSPC', expected: 'de5100000000', got: 'de5109090909' },
    });
  });

  test('a changed document', async () => {
    expect(await lies((of) => ({ ...of, tcb_info: of.tcb_info.replace('"UpToDate"', '"UpToDatE"') }))).toBe(
      'SIGNATURE_INVALID',
    );
  });

  test("another manufacturer's collateral, whole", async () => {
    const stranger = mintCollateral(makeSimulatedRoot(now), { issuedAt: now - 3600 });
    expect(await lies(() => stranger)).toBe('ROOT_UNTRUSTED');
  });

  test('a revocation list of somebody else', async () => {
    const stranger = mintCollateral(makeSimulatedRoot(now), { issuedAt: now - 3600 });
    expect(await lies((of) => ({ ...of, pck_crl: stranger.pck_crl }))).toBe('ISSUER_KEY_ID_MISMATCH');
  });

  test('the root list in place of the platforms', async () => {
    expect(await lies((of) => ({ ...of, pck_crl: of.root_ca_crl }))).toMatch(/^CRL_ISSUER_MISMATCH$|^ISSUER/);
  });

  test('expired collateral', async () => {
    expect(await lies(() => collateralAt(now - 40 * 86_400))).toBe('EXPIRED');
  });

  test('collateral of tomorrow', async () => {
    expect(await lies(() => collateralAt(now + 86_400))).toBe('NOT_YET_VALID');
  });
});
