import { describe, expect, test } from 'vitest';
import {
  type AppraisalContext,
  type AppraisalPolicy,
  appraise,
  CheckList,
  type GpuClaims,
  parsePolicy,
  type TdxClaims,
} from '../src/verify/index.ts';
import { claimsOf, makeWorld, now } from './synthetic.ts';

const day = 86_400;
const allow: AppraisalPolicy = { unsafeAllowSimulated: true };
const claims = await claimsOf(makeWorld());

function verdict(changes: Partial<TdxClaims>, policy: AppraisalPolicy = {}, context: AppraisalContext = {}): string {
  const appraisal = appraise({ ...claims, ...changes }, { ...allow, ...policy }, context);
  return appraisal.ok ? 'ok' : `${appraisal.refusal.code} at ${appraisal.refusal.place}`;
}

describe('grace for what is out of date', () => {
  const outdated: Partial<TdxClaims> = { tcbStatus: 'OutOfDate', outOfDateSince: now - 10 * day };
  const refused = 'TCB_STATUS_REFUSED at claims.tcbStatus';

  test('none by default', () => {
    expect(verdict(outdated)).toBe(refused);
    expect(verdict({ ...outdated, outOfDateSince: now })).toBe(refused);
  });

  test('as long as the policy says, to the second', () => {
    expect(verdict(outdated, { outOfDateGraceSeconds: 10 * day })).toBe('ok');
    expect(verdict(outdated, { outOfDateGraceSeconds: 10 * day - 1 })).toBe(refused);
    expect(verdict({ ...outdated, verifiedAt: now + 1 }, { outOfDateGraceSeconds: 10 * day })).toBe(refused);
  });

  test('says when it ended', () => {
    const appraisal = appraise({ ...claims, ...outdated }, { ...allow, outOfDateGraceSeconds: 1 });
    expect(appraisal).toMatchObject({ refusal: { message: expect.stringMatching(/its grace ended at "2026-/) } });
  });

  test('says nothing of grace where there is none', () => {
    const appraisal = appraise({ ...claims, ...outdated }, allow);
    expect(appraisal).toMatchObject({ refusal: { message: expect.stringMatching(/got "OutOfDate"$/) } });
  });

  test('does not say that it ended while it runs, where the status before is not accepted either', () => {
    const both = { ...claims, ...outdated, tcbStatus: 'OutOfDateConfigurationNeeded' } as const;
    const appraisal = appraise(both, { ...allow, outOfDateGraceSeconds: 30 * day });
    expect(appraisal).toMatchObject({
      refusal: { message: expect.stringMatching(/got "OutOfDateConfigurationNeeded"$/) },
    });
  });

  test('only where it is known since when', () => {
    for (const outOfDateSince of [null, 0])
      expect(verdict({ ...outdated, outOfDateSince }, { outOfDateGraceSeconds: 100 * 366 * day })).toBe(refused);
  });

  test('judges what is out of date as what it was, and that must be accepted too', () => {
    const grace = { outOfDateGraceSeconds: 30 * day };
    const both = { ...outdated, tcbStatus: 'OutOfDateConfigurationNeeded' } as const;
    expect(verdict(both, grace)).toBe(refused);
    expect(verdict(both, { ...grace, tcbStatuses: ['ConfigurationNeeded'] })).toBe('ok');
    expect(verdict(outdated, { ...grace, tcbStatuses: ['ConfigurationNeeded'] })).toBe(refused);
  });

  test('never for what is revoked, or needs configuration', () => {
    for (const tcbStatus of ['Revoked', 'ConfigurationNeeded', 'ConfigurationAndSWHardeningNeeded'] as const)
      expect(verdict({ ...outdated, tcbStatus }, { outOfDateGraceSeconds: 30 * day })).toBe(refused);
  });

  test.each([-1, Number.NaN, Number.NEGATIVE_INFINITY])('a grace of %d is none', (outOfDateGraceSeconds) => {
    expect(verdict({ ...outdated, outOfDateSince: now }, { outOfDateGraceSeconds })).toBe(refused);
  });
});

describe('dates and advisories', () => {
  test('the TCB must be young enough', () => {
    const { tcbDate } = claims;
    expect(verdict({}, { minimumTcbDate: tcbDate })).toBe('ok');
    expect(verdict({}, { minimumTcbDate: tcbDate + 1 })).toBe('TCB_TOO_OLD at claims.tcbDate');
  });

  const advisories = ['INTEL-SA-00001', 'INTEL-SA-00002'];
  test.each<[string, AppraisalPolicy, string]>([
    ['no list says nothing', {}, 'ok'],
    ['one that is denied', { deniedAdvisories: ['INTEL-SA-00002'] }, 'ADVISORY_REFUSED at claims.advisories'],
    ['others that are denied', { deniedAdvisories: ['INTEL-SA-00003'] }, 'ok'],
    ['all allowed', { allowedAdvisories: [...advisories, 'INTEL-SA-00003'] }, 'ok'],
    ['one not allowed', { allowedAdvisories: ['INTEL-SA-00001'] }, 'ADVISORY_REFUSED at claims.advisories'],
    ['none allowed', { allowedAdvisories: [] }, 'ADVISORY_REFUSED at claims.advisories'],
    [
      'allowed and denied',
      { allowedAdvisories: advisories, deniedAdvisories: ['INTEL-SA-00001'] },
      'ADVISORY_REFUSED at claims.advisories',
    ],
  ])('advisories: %s', (_, policy, expected) => {
    expect(verdict({ advisories }, policy)).toBe(expected);
  });

  test('none of them under a list that allows none', () => {
    expect(verdict({ advisories: [] }, { allowedAdvisories: [] })).toBe('ok');
  });

  test('the refusal names the advisory', () => {
    const appraisal = appraise({ ...claims, advisories }, { ...allow, deniedAdvisories: ['INTEL-SA-00002'] });
    expect(appraisal).toMatchObject({ refusal: { value: 'INTEL-SA-00002' } });
  });
});

describe('what is known beside the evidence', () => {
  test.each<[AppraisalPolicy['minimumAssurance'], AppraisalContext['assurance'], boolean]>([
    [undefined, undefined, true],
    ['self-asserted', undefined, false],
    ['self-asserted', 'self-asserted', true],
    ['self-asserted', 'audited', true],
    ['owner-endorsed', 'self-asserted', false],
    ['owner-endorsed', 'owner-endorsed', true],
    ['audited', 'owner-endorsed', false],
    ['audited', 'audited', true],
  ])('assurance of at least %s, given %s', (minimumAssurance, assurance, ok) => {
    const policy = minimumAssurance === undefined ? {} : { minimumAssurance };
    expect(verdict({}, policy, { assurance })).toBe(ok ? 'ok' : 'ASSURANCE_TOO_LOW at context.assurance');
  });

  test('levels that are none are refused', () => {
    const untyped = { minimumAssurance: 'blessed' } as unknown as AppraisalPolicy;
    expect(verdict({}, untyped, { assurance: 'audited' })).toBe('ASSURANCE_TOO_LOW at context.assurance');
    expect(verdict({}, untyped)).toBe('ASSURANCE_TOO_LOW at context.assurance');
    const context = { assurance: 'blessed' } as unknown as AppraisalContext;
    expect(verdict({}, { minimumAssurance: 'self-asserted' }, context)).toBe('ASSURANCE_TOO_LOW at context.assurance');
  });

  const gpu: GpuClaims = {
    id: 'GPU-0',
    model: 'GH100',
    driverVersion: '1',
    vbiosVersion: '1',
    ueid: '1',
    nonce: '00',
    issuer: 'https://issuer.example',
    issuedAt: now,
    notAfter: now + 1,
  };
  test('GPUs', () => {
    expect(verdict({}, {}, { gpus: [gpu] })).toBe('ok');
    expect(verdict({}, { gpus: { minimum: 1 } })).toBe('GPU_REFUSED at context.gpus');
    expect(verdict({}, { gpus: { minimum: 1 } }, { gpus: [gpu] })).toBe('ok');
    expect(verdict({}, { gpus: { minimum: 2 } }, { gpus: [gpu] })).toBe('GPU_REFUSED at context.gpus');
    expect(verdict({}, { gpus: { minimum: 1, models: ['GH100'] } }, { gpus: [gpu] })).toBe('ok');
    expect(verdict({}, { gpus: { minimum: 1, models: ['GB100'] } }, { gpus: [gpu] })).toBe(
      'GPU_REFUSED at context.gpus',
    );
    expect(verdict({}, { gpus: { minimum: 1, models: ['GH100'] } }, { gpus: [gpu, { ...gpu, model: 'X' }] })).toBe(
      'GPU_REFUSED at context.gpus',
    );
  });
});

describe('policy files', () => {
  const parse = (json: unknown): AppraisalPolicy => parsePolicy(new TextEncoder().encode(JSON.stringify(json)));

  test('have every field of a policy', () => {
    const policy = {
      teeTypes: ['tdx', 'sgx', 'sev-snp', 'nitro'],
      outOfDateGraceSeconds: 86_400,
      minimumTcbDate: '2026-01-01T00:00:00Z',
      allowedAdvisories: ['INTEL-SA-00615'],
      deniedAdvisories: ['INTEL-SA-00001'],
      snpMinimumTcb: { Milan: { microcode: 219 }, Turin: { fmc: 1, bootloader: 2, tee: 3, snp: 4, microcode: 5 } },
      snpMaximumVmpl: 2,
      minimumAssurance: 'owner-endorsed',
      gpus: { minimum: 8, models: ['GH100 A01 GSP BROM'] },
    };
    expect(parse(policy)).toEqual({ ...policy, minimumTcbDate: 1_767_225_600 });
  });

  test.each([
    [{ teeTypes: ['sev'] }],
    [{ outOfDateGraceSeconds: -1 }],
    [{ outOfDateGraceSeconds: 1e12 }],
    [{ outOfDateGraceSeconds: '1 day' }],
    [{ minimumTcbDate: 1_767_225_600 }],
    [{ minimumTcbDate: '2026-01-01' }],
    [{ allowedAdvisories: 'INTEL-SA-00615' }],
    [{ deniedAdvisories: [1] }],
    [{ snpMinimumTcb: { Naples: {} } }],
    [{ snpMinimumTcb: { Milan: { ucode: 1 } } }],
    [{ snpMinimumTcb: { Milan: { microcode: 256 } } }],
    [{ snpMinimumTcb: [] }],
    [{ snpMaximumVmpl: 4 }],
    [{ minimumAssurance: 'blessed' }],
    [{ gpus: 1 }],
    [{ gpus: {} }],
    [{ gpus: { minimum: 1, nonce: '' } }],
  ])('refuse %j', (json) => {
    expect(() => parse(json)).toThrow(expect.objectContaining({ name: 'AttestationError', code: 'MALFORMED_POLICY' }));
  });

  test('a prototype is no field', () => {
    expect(() => parsePolicy(new TextEncoder().encode('{"__proto__":{"unsafeAllowSimulated":true}}'))).toThrow(
      expect.objectContaining({ code: 'MALFORMED_POLICY' }),
    );
  });
});

describe('as a checklist', () => {
  test('has every check in its order, up to the one that does not hold', () => {
    const all = new CheckList();
    expect(appraise(claims, allow, { checks: all })).toEqual({ ok: true });
    const ids = all.nodes.map(({ id }) => id);
    expect(ids).toEqual([
      'tee-type',
      'simulated',
      'tcb',
      'tcb-date',
      'advisories',
      'tcb-evaluation',
      'debug',
      'attributes',
      'moving',
      'image',
      'config',
      'report-data',
      'assurance',
      'gpus',
    ]);
    expect(all.nodes.every(({ ok, detail }) => ok && detail === null)).toBe(true);

    const some = new CheckList();
    const appraisal = appraise({ ...claims, debug: true }, allow, { checks: some });
    expect(appraisal).toMatchObject({ ok: false, refusal: { code: 'DEBUG_REFUSED' } });
    expect(some.nodes.map(({ id }) => id)).toEqual(ids.slice(0, ids.indexOf('debug') + 1));
    expect(some.nodes.at(-1)).toMatchObject({ ok: false, detail: expect.stringContaining('debug mode') });
  });
});
