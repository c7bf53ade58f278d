import { describe, expect, test } from 'vitest';
import type { PckExtension } from '../../src/verify/dcap/pckExtension.ts';
import { matchSgxLevel } from '../../src/verify/dcap/platformTcb.ts';
import { parseTcbInfo } from '../../src/verify/dcap/tcbInfo.ts';
import { parseQuote, verifyCollateral, verifyTdxQuote } from '../../src/verify/index.ts';
import { makeWorld, now } from '../synthetic.ts';
import { laterMessageOf, messageOf } from './messageOf.ts';

const world = makeWorld();

test('a quote with bytes between its certification and the end of its signature data', () => {
  const longer = Buffer.concat([world.quote, Buffer.of(0)]);
  const lengthAt = 48 + 584;
  longer.writeUInt32LE(longer.readUInt32LE(lengthAt) + 1, lengthAt);
  expect(messageOf(() => parseQuote(world.quote))).toBe('ok');
  expect(messageOf(() => parseQuote(longer))).toContain('Expected the end, 1 bytes are left');
});

describe('TCB info', () => {
  type Json = Record<string, unknown>;
  const parsed = JSON.parse(world.collateral.tcb_info) as Json;
  const read = (changes: Json) => parseTcbInfo(JSON.stringify({ ...parsed, ...changes }), 'it');

  test('may lack the identities of TDX modules', () => {
    expect(read({ tdxModuleIdentities: undefined }).tdxModuleIdentities).toEqual([]);
  });

  test('of SGX is not read for what only TDX has', () => {
    expect(read({ id: 'SGX', tdxModuleIdentities: 'none', tdxModule: 'none' })).toMatchObject({
      tdxModule: undefined,
      tdxModuleIdentities: [],
    });
  });

  test('has a date in each level', () => {
    const levels = (parsed.tcbLevels as Json[]).map((level) => ({ ...level, tcbDate: 'yesterday' }));
    expect(messageOf(() => read({ tcbLevels: levels }))).toContain('MALFORMED_COLLATERAL at it.tcbLevels[0].tcbDate');
  });

  test('gives an SGX platform no level whose PCE it does not reach, however good its components', () => {
    const tcbInfo = read({ id: 'SGX' });
    const [best] = tcbInfo.levels;
    const pck = (pceSvn: number) => ({ components: Array<number>(16).fill(255), pceSvn }) as unknown as PckExtension;
    expect(best?.pceSvn).toBeGreaterThan(0);
    const { pceSvn = 0 } = best ?? {};
    expect(matchSgxLevel(pck(pceSvn), { ...tcbInfo, levels: tcbInfo.levels.slice(0, 1) }).status).toBe(best?.status);
    expect(
      messageOf(() => matchSgxLevel(pck(pceSvn - 1), { ...tcbInfo, levels: tcbInfo.levels.slice(0, 1) })),
    ).toContain('TCB_LEVEL_NOT_FOUND');
  });
});

describe('the PCK CRL is that of the CA in the quote', () => {
  test.each(['spki', 'subject'] as const)('whose CA has another %s', async (field) => {
    const verified = await verifyCollateral(world.collateral, { roots: [world.root.trustRoot], now });
    const other = { ...verified, pckCa: { ...verified.pckCa, [field]: new Uint8Array(verified.pckCa[field].length) } };
    expect(await laterMessageOf(() => verifyTdxQuote(world.quote, verified, { now }))).toBe('ok');
    expect(await laterMessageOf(() => verifyTdxQuote(world.quote, other, { now }))).toContain('CRL_ISSUER_MISMATCH');
  });
});

test.each([0, 1, 2, 3, 4])('collateral or a quote whose chain has the first %i certificates of five', async (count) => {
  const pem = world.collateral.tcb_info_issuer_chain;
  const one = pem.slice(0, pem.indexOf('-----END') + '-----END CERTIFICATE-----\n'.length);
  const chain = count === 2 ? pem : one.repeat(count);
  const collateral = { ...world.collateral, tcb_info_issuer_chain: chain };
  expect(await laterMessageOf(() => verifyCollateral(collateral, { roots: [world.root.trustRoot], now }))).toContain(
    count === 2 ? 'ok' : count === 0 ? 'COLLATERAL_MISSING' : 'CHAIN_LENGTH',
  );
});
