import { type Bytes32, dstackImageId, dstackMrConfigId } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { mintQuote } from '../src/unsafe-simulated/index.ts';
import { type AppraisalPolicy, appraise, parsePolicy, type TdxClaims } from '../src/verify/index.ts';
import { claimsOf, makeWorld, measurements } from './synthetic.ts';

const allow: AppraisalPolicy = { unsafeAllowSimulated: true };
const claims = await claimsOf(makeWorld({ quote: { version: 5, tdVersion: '1.5' } }));

function verdict(changes: Partial<TdxClaims>, policy: AppraisalPolicy = allow): string {
  const appraisal = appraise({ ...claims, ...changes }, policy);
  return appraisal.ok ? 'ok' : `${appraisal.refusal.code} at ${appraisal.refusal.place}`;
}

describe('appraise', () => {
  test('the default policy refuses simulated evidence and nothing else of it', () => {
    expect(verdict({}, {})).toBe('SIMULATED_REFUSED at claims.simulated');
    expect(verdict({ simulated: false }, {})).toBe('ok');
    expect(verdict({})).toBe('ok');
  });

  test('TEE types', () => {
    expect(verdict({}, { ...allow, teeTypes: ['tdx'] })).toBe('ok');
    expect(verdict({}, { ...allow, teeTypes: ['sgx'] })).toBe('TEE_TYPE_REFUSED at claims.teeType');
  });

  test.each([
    ['UpToDate', 'ok'],
    ['SWHardeningNeeded', 'ok'],
    ['ConfigurationNeeded', 'TCB_STATUS_REFUSED at claims.tcbStatus'],
    ['ConfigurationAndSWHardeningNeeded', 'TCB_STATUS_REFUSED at claims.tcbStatus'],
    ['OutOfDate', 'TCB_STATUS_REFUSED at claims.tcbStatus'],
    ['OutOfDateConfigurationNeeded', 'TCB_STATUS_REFUSED at claims.tcbStatus'],
    ['Revoked', 'TCB_STATUS_REFUSED at claims.tcbStatus'],
  ] as const)('TCB status %s by default', (tcbStatus, expected) => {
    expect(verdict({ tcbStatus })).toBe(expected);
  });

  test('other TCB statuses by choice, Revoked never', () => {
    expect(verdict({ tcbStatus: 'OutOfDate' }, { ...allow, tcbStatuses: ['OutOfDate'] })).toBe('ok');
    expect(verdict({ tcbStatus: 'UpToDate' }, { ...allow, tcbStatuses: ['OutOfDate'] })).toMatch(/^TCB_STATUS_REFUSED/);
    const untyped = { ...allow, tcbStatuses: ['Revoked'] } as unknown as AppraisalPolicy;
    expect(verdict({ tcbStatus: 'Revoked' }, untyped)).toMatch(/^TCB_STATUS_REFUSED/);
  });

  test('a floor under the TCB evaluation data number', () => {
    expect(verdict({}, { ...allow, minimumTcbEvaluationDataNumber: 20 })).toBe('ok');
    expect(verdict({}, { ...allow, minimumTcbEvaluationDataNumber: 21 })).toBe(
      'TCB_EVALUATION_TOO_OLD at claims.tcbEvaluationDataNumber',
    );
  });

  test('debug, whatever the policy says', async () => {
    const world = makeWorld({ quote: { tdAttributes: fromHex('0100001000000000') } });
    const debug = await claimsOf(world);
    expect(debug.debug).toBe(true);
    expect(verdict(debug)).toBe('DEBUG_REFUSED at claims.debug');
  });

  test.each([
    ['SEPT_VE_DISABLE', '0x0000001000000000', 'ok'],
    ['with PKS, KL and PERFMON', '0x000000d000000080', 'ok'],
    ['without SEPT_VE_DISABLE', '0x0000000000000000', 'ATTRIBUTES_REFUSED at claims.tdAttributes'],
    ['migratable', '0x0000003000000000', 'ATTRIBUTES_REFUSED at claims.tdAttributes'],
    ['a reserved bit', '0x0000001000000001', 'ATTRIBUTES_REFUSED at claims.tdAttributes'],
    ['a bit beside DEBUG', '0x0200001000000000', 'ATTRIBUTES_REFUSED at claims.tdAttributes'],
  ] as const)('TD attributes: %s', (_, tdAttributes, expected) => {
    expect(verdict({ tdAttributes })).toBe(expected);
  });

  test('service TDs', () => {
    const serviceTd = `0x${'07'.repeat(48)}` as const;
    expect(verdict({ serviceTd: null })).toBe('ok');
    expect(verdict({ serviceTd })).toBe('SERVICE_TD_REFUSED at claims.serviceTd');
    expect(verdict({ serviceTd }, { ...allow, serviceTds: [serviceTd] })).toBe('ok');
  });

  test('images', () => {
    const upper = `0x${claims.imageId.slice(2).toUpperCase()}` as const;
    expect(verdict({}, { ...allow, imageIds: [upper] })).toBe('ok');
    expect(verdict({}, { ...allow, imageIds: [] })).toBe('IMAGE_NOT_ALLOWED at claims.imageId');
    expect(verdict({}, { ...allow, imageIds: [`0x${'00'.repeat(32)}`] })).toBe('IMAGE_NOT_ALLOWED at claims.imageId');
  });

  test('configuration', () => {
    expect(verdict({}, { ...allow, configId: `0x${'c0'.repeat(32)}` })).toBe('ok');
    expect(verdict({}, { ...allow, configId: `0x${'c1'.repeat(32)}` })).toBe('CONFIG_MISMATCH at claims.configId');
    expect(verdict({ configId: null }, { ...allow, configId: `0x${'c0'.repeat(32)}` })).toBe(
      'CONFIG_MISMATCH at claims.configId',
    );
  });

  test('a MRCONFIGID with anything behind its 32 bytes is no configuration', async () => {
    const { platform } = makeWorld();
    const mrConfigId = Uint8Array.from({ length: 48 }, (_, index) => (index <= 32 ? 0xc0 : 0));
    const world = { ...makeWorld(), quote: mintQuote(platform, { ...measurements, mrConfigId }) };
    const other = await claimsOf(world);
    expect(other.configId).toBeNull();
    const appraisal = appraise(other, { ...allow, configId: `0x${'c0'.repeat(32)}` });
    expect(appraisal).toMatchObject({ refusal: { code: 'CONFIG_MISMATCH', value: other.mrConfigId } });
  });

  test('a dstack CVM is configured by its compose hash, which its image covers', async () => {
    const { platform } = makeWorld();
    const composeHash: Bytes32 = `0x${'c5'.repeat(32)}`;
    const quote = mintQuote(platform, { ...measurements, mrConfigId: dstackMrConfigId(composeHash) });
    const dstack = await claimsOf({ ...makeWorld(), quote });
    expect(claims.composeHash).toBeNull();
    expect(dstack).toMatchObject({
      configId: composeHash,
      composeHash,
      mrConfigId: toHex(dstackMrConfigId(composeHash)),
    });
    const register = (byte: number) => new Uint8Array(48).fill(byte);
    const registers = { mrtd: register(0xa1), rtmr0: register(0xb0), rtmr1: register(0xb1), rtmr2: register(0xb2) };
    expect(dstack.imageId).toBe(dstackImageId(registers, composeHash));
    expect(appraise(dstack, { ...allow, configId: composeHash, imageIds: [dstack.imageId] })).toEqual({ ok: true });
    // The same registers without the app are another image: allowing those would allow every app.
    expect(appraise(dstack, { ...allow, imageIds: [claims.imageId] })).toMatchObject({
      refusal: { code: 'IMAGE_NOT_ALLOWED', value: dstack.imageId },
    });
    expect(appraise(dstack, { ...allow, configId: `0x${'c0'.repeat(32)}` })).toMatchObject({
      refusal: { code: 'CONFIG_MISMATCH', value: composeHash },
    });
  });

  test('report data', () => {
    expect(verdict({}, { ...allow, reportData: `0x${'D0'.repeat(64)}` })).toBe('ok');
    expect(verdict({}, { ...allow, reportData: `0x${'d1'.repeat(64)}` })).toBe(
      'REPORT_DATA_MISMATCH at claims.reportData',
    );
  });

  test('SGX claims have an image of their own and no configuration', () => {
    const sgx = {
      ...claims,
      teeType: 'sgx',
      attributes: `0x05${'00'.repeat(15)}`,
      miscSelect: '0x00000000',
      mrEnclave: `0x${'01'.repeat(32)}`,
      mrSigner: `0x${'02'.repeat(32)}`,
      isvProdId: 1,
      isvSvn: 1,
      imageId: `0x${'03'.repeat(32)}`,
      configId: null,
    } as const;
    expect(appraise(sgx, allow)).toEqual({ ok: true });
    expect(appraise(sgx, { ...allow, imageIds: [claims.imageId] })).toMatchObject({
      refusal: { code: 'IMAGE_NOT_ALLOWED' },
    });
    expect(appraise(sgx, { ...allow, configId: `0x${'c0'.repeat(32)}` })).toMatchObject({
      refusal: { code: 'CONFIG_MISMATCH' },
    });
    expect(appraise({ ...sgx, debug: true }, allow)).toMatchObject({ refusal: { code: 'DEBUG_REFUSED' } });
  });
});

describe('parsePolicy', () => {
  const parse = (json: unknown): AppraisalPolicy => parsePolicy(new TextEncoder().encode(JSON.stringify(json)));

  test('reads every field', () => {
    const policy = {
      teeTypes: ['tdx'],
      tcbStatuses: ['UpToDate', 'OutOfDate'],
      minimumTcbEvaluationDataNumber: 17,
      imageIds: [`0x${'ab'.repeat(32)}`],
      configId: `0x${'cd'.repeat(32)}`,
      reportData: `0x${'ef'.repeat(64)}`,
      serviceTds: [`0x${'01'.repeat(48)}`],
      unsafeAllowSimulated: true,
    };
    expect(parse(policy)).toEqual(policy);
    expect(parse({})).toEqual({});
  });

  test.each([
    [{ tcbStatuses: ['Revoked'] }],
    [{ tcbStatuses: 'UpToDate' }],
    [{ allowDebug: true }],
    [{ imageIds: ['0x12'] }],
    [{ configId: null }],
    [{ unsafeAllowSimulated: 'yes' }],
    [{ minimumTcbEvaluationDataNumber: -1 }],
    [[]],
    [null],
  ])('refuses %j', (json) => {
    expect(() => parse(json)).toThrow(expect.objectContaining({ name: 'AttestationError', code: 'MALFORMED_POLICY' }));
  });

  test('refuses what is no JSON, too deep or too long', () => {
    const deep = `${'['.repeat(17)}${']'.repeat(17)}`;
    expect(() => parsePolicy(new TextEncoder().encode(deep))).toThrow(
      expect.objectContaining({ code: 'MALFORMED_JSON' }),
    );
    const spaces = new Uint8Array(2 * 1024 * 1024).fill(0x20);
    expect(() => parsePolicy(spaces)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
    expect(() => parsePolicy(Uint8Array.of(0xff))).toThrow(expect.objectContaining({ code: 'MALFORMED_JSON' }));
    expect(() => parsePolicy(new TextEncoder().encode('{'))).toThrow(
      expect.objectContaining({ code: 'MALFORMED_JSON' }),
    );
    expect(() => parsePolicy(new TextEncoder().encode('['.repeat(10_000)))).toThrow(
      expect.objectContaining({ code: 'MALFORMED_JSON' }),
    );
  });
});
