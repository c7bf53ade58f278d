import { nitroImageId } from '@cloister/core';
import { concatBytes, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { makeKey } from '../../src/unsafe-simulated/vendorCertificate.ts';
import {
  appraise,
  awsNitroRoot,
  EvidenceVerifier,
  nitroEvidenceDocument,
  parseEvidence,
  pinnedRoots,
  serialiseEvidence,
  type TrustRoot,
  trustRootOfCertificate,
  trustRootOfSpki,
  verifyEvidenceFile,
  verifyNitroDocument,
} from '../../src/verify/index.ts';
import { CborReader } from '../../src/verify/nitro/cbor.ts';
import { fixture, hasFixtures } from '../fixtures.ts';
import { now, outcome } from '../synthetic.ts';
import {
  awsKeys,
  awsRoot,
  cbor,
  makeNitroDocument,
  moduleId,
  type NitroWorldOptions,
  pcr,
  pcrsOf,
} from './syntheticNitro.ts';

const roots = [awsRoot];
const stranger = makeKey('p384');

/** The module id, or `CODE at place`. */
async function verdict(
  options: NitroWorldOptions | Uint8Array,
  trusted: readonly TrustRoot[] = roots,
  at = now + 60,
  maxAgeSeconds?: number,
): Promise<string> {
  const document = options instanceof Uint8Array ? options : makeNitroDocument(options);
  return outcome(
    async () => (await verifyNitroDocument(document, { roots: trusted, now: at, maxAgeSeconds })).moduleId,
  );
}

describe('synthetic documents verify', () => {
  test('with all that they claim', async () => {
    expect(await verifyNitroDocument(makeNitroDocument(), { roots, now })).toEqual({
      teeType: 'nitro',
      simulated: true,
      tcbStatus: null,
      advisories: [],
      platformId: null,
      debug: false,
      moduleId,
      signedAt: now,
      pcrs: { '0': toHex(pcr(0xa0)), '1': toHex(pcr(0xa1)), '2': toHex(pcr(0xa2)), '4': toHex(pcr(0xa4)) },
      userData: `0x${'d0'.repeat(64)}`,
      nonce: null,
      publicKey: null,
      reportData: `0x${'d0'.repeat(64)}`,
      imageId: nitroImageId(pcr(0xa0), pcr(0xa1), pcr(0xa2)),
      configId: null,
      verifiedAt: now,
      notAfter: now + 3 * 3600,
    });
  });

  test('with a tag, a map of definite length, members in another order', async () => {
    expect(await verdict(concatBytes(Uint8Array.of(0xd2), makeNitroDocument()))).toBe(moduleId);
    expect(await verdict({ map: cbor.map })).toBe(moduleId);
    expect(await verdict({ map: ((entries) => cbor.openMap([...entries].reverse())) satisfies typeof cbor.map })).toBe(
      moduleId,
    );
  });

  test('what is optional may be left out, or be there', async () => {
    const bare = { public_key: undefined, user_data: undefined, nonce: undefined };
    expect(await verifyNitroDocument(makeNitroDocument({ payload: bare }), { roots, now })).toMatchObject({
      userData: null,
      nonce: null,
      publicKey: null,
      reportData: null,
    });
    const full = {
      public_key: cbor.bytes(new Uint8Array(1024)),
      user_data: cbor.bytes(new Uint8Array(512)),
      nonce: cbor.bytes(Uint8Array.of(1)),
    };
    expect(await verifyNitroDocument(makeNitroDocument({ payload: full }), { roots, now })).toMatchObject({
      nonce: '0x01',
      reportData: null,
    });
  });

  test('for as long as the caller says', async () => {
    expect(await verdict({}, roots, now + 3 * 3600)).toBe(moduleId);
    expect(await verdict({}, roots, now + 3 * 3600 + 1)).toBe('TOO_OLD at document.payload.timestamp');
    expect(await verdict({}, roots, now + 60, 59)).toBe('TOO_OLD at document.payload.timestamp');
    expect(await verdict({}, roots, now - 300)).toBe(moduleId);
    expect(await verdict({}, roots, now - 301)).toBe('FROM_THE_FUTURE at document.payload.timestamp');
    expect(await verdict({}, roots, Number.NaN)).toBe('INVALID_TIME at now');
    expect(await verdict({}, roots, now, Number.POSITIVE_INFINITY)).toBe('INVALID_TIME at now');
  });
});

describe('as documents', () => {
  const bytes = makeNitroDocument();
  const document = nitroEvidenceDocument(bytes);

  test('come back as they were, and verify; so does the bare form', async () => {
    const evidenceBytes = serialiseEvidence(document);
    expect(parseEvidence(evidenceBytes)).toEqual(document);
    for (const each of [evidenceBytes, bytes])
      expect(await verifyEvidenceFile({ evidenceBytes: each, at: now, roots })).toMatchObject({
        ok: true,
        teeType: 'nitro',
        tcbStatus: null,
        claims: { moduleId },
      });
    const old = { evidenceBytes, at: now + 100, roots, nitroMaxAgeSeconds: 99 };
    expect(await verifyEvidenceFile(old)).toMatchObject({ ok: false, refusal: { code: 'TOO_OLD' } });
  });

  test('by a verifier, as old as it allows', async () => {
    const verifier = new EvidenceVerifier({ roots, nitroMaxAgeSeconds: 100 });
    expect(await verifier.verify(document, now + 100)).toMatchObject({ moduleId });
    await expect(verifier.verify(document, now + 101)).rejects.toMatchObject({ code: 'TOO_OLD' });
  });

  test.each([
    ['too long', { document: 'A'.repeat(50_000) }, 'MALFORMED_EVIDENCE'],
    ['no base64', { document: '*' }, 'MALFORMED_BASE64'],
    ['missing', { document: undefined }, 'MALFORMED_EVIDENCE'],
    ['with more members', { collateral: {} }, 'MALFORMED_EVIDENCE'],
  ])('%s is refused', (_, changes, code) => {
    expect(() => parseEvidence({ ...document, ...changes })).toThrow(expect.objectContaining({ code }));
  });

  test('appraisal: debug, report data, image, configuration', async () => {
    const allow = { unsafeAllowSimulated: true };
    const claims = await verifyNitroDocument(bytes, { roots, now });
    const { imageId, reportData } = claims;
    expect(appraise(claims, { ...allow, imageIds: [imageId], reportData: reportData ?? '0x' })).toEqual({ ok: true });
    const configured = appraise(claims, { ...allow, configId: `0x${'00'.repeat(32)}` });
    expect(configured).toMatchObject({ refusal: { code: 'CONFIG_MISMATCH', value: 'none' } });
    const short = makeNitroDocument({ payload: { user_data: cbor.bytes(new Uint8Array(63)) } });
    const other = appraise(await verifyNitroDocument(short, { roots, now }), {
      ...allow,
      reportData: `0x${'00'.repeat(64)}`,
    });
    expect(other).toMatchObject({ refusal: { code: 'REPORT_DATA_MISMATCH', value: 'none' } });
    const debug = makeNitroDocument({ payload: { pcrs: pcrsOf({ 0: pcr(0), 1: pcr(0), 2: pcr(0) }) } });
    const refused = appraise(await verifyNitroDocument(debug, { roots, now }), allow);
    expect(refused).toMatchObject({ refusal: { code: 'DEBUG_REFUSED' } });
  });
});

describe('hostile chains', () => {
  test('a stranger root, one of another vendor, the pinned one', async () => {
    expect(await verdict({}, [trustRootOfSpki(stranger.spki, 'aws')])).toBe('ROOT_UNTRUSTED at document.cabundle[0]');
    expect(await verdict({}, [{ ...awsRoot, vendor: 'amd' }])).toBe('ROOT_UNTRUSTED at document.cabundle[0]');
    expect(await verdict({}, [awsNitroRoot])).toBe('ROOT_UNTRUSTED at document.cabundle[0]');
    expect(await verdict({}, [])).toBe('ROOTS_INVALID at roots');
    expect(await verdict({}, [{ ...awsNitroRoot, simulated: true }])).toBe('ROOTS_INVALID at roots');
  });

  const other = 'DEV unsafe simulated other';
  test.each<[string, NitroWorldOptions, string]>([
    ['a root that it did not sign', { root: { signer: stranger } }, 'SIGNATURE_INVALID at document.cabundle[0]'],
    ['a root that is no CA', { root: { isCa: false } }, 'NOT_A_CA at document.cabundle[0]'],
    ['a root of another name', { root: { subject: other, issuer: other } }, 'WRONG_ROLE at document.cabundle[0]'],
    ['a region by a stranger', { region: { signer: stranger } }, 'SIGNATURE_INVALID at document.cabundle[1]'],
    ['a region of another issuer', { region: { issuer: other } }, 'ISSUER_NAME_MISMATCH at document.cabundle[1]'],
    [
      "a region that names another's key",
      { region: { issuerKey: stranger } },
      'ISSUER_KEY_ID_MISMATCH at document.cabundle[1]',
    ],
    ['a region that is no CA', { region: { isCa: false, pathLength: undefined } }, 'NOT_A_CA at document.cabundle[1]'],
    ['a region that may sign data only', { region: { keyUsage: 0x80 } }, 'KEY_USAGE_FORBIDS at document.cabundle[1]'],
    ['a region with no room below', { region: { pathLength: 0 } }, 'PATH_LENGTH_EXCEEDED at document.cabundle[1]'],
    [
      'an instance that is no CA',
      { instance: { isCa: false, pathLength: undefined } },
      'NOT_A_CA at document.cabundle[2]',
    ],
    ['an instance by the root', { instance: { signer: awsKeys.root } }, 'SIGNATURE_INVALID at document.cabundle[2]'],
    ['a leaf by a stranger', { leaf: { signer: stranger } }, 'SIGNATURE_INVALID at document.certificate'],
    ['a leaf of another issuer', { leaf: { issuer: other } }, 'ISSUER_NAME_MISMATCH at document.certificate'],
    ['a leaf that is a CA', { leaf: { isCa: true, keyUsage: 0x86 } }, 'CA_NOT_ALLOWED at document.certificate'],
    ['a leaf that may not sign data', { leaf: { keyUsage: 0x06 } }, 'KEY_USAGE_FORBIDS at document.certificate'],
    ['a leaf of another module', { leaf: { subject: `${other}.test.aws` } }, 'WRONG_ROLE at document.certificate'],
    [
      'a leaf without the DEV prefix',
      { leaf: { subject: `${moduleId}.test.aws` } },
      'WRONG_ROLE at document.certificate',
    ],
    [
      'a leaf whose module only begins alike',
      { leaf: { subject: `DEV unsafe simulated ${moduleId}0.test.aws` } },
      'WRONG_ROLE at document.certificate',
    ],
    ['a root that was not valid yet', { root: { notBefore: now + 1 } }, 'NOT_YET_VALID at document.cabundle[0]'],
    ['a region that had expired', { region: { notAfter: now - 1 } }, 'EXPIRED at document.cabundle[1]'],
    ['a leaf that had expired', { leaf: { notAfter: now - 1 } }, 'EXPIRED at document.certificate'],
    ['a leaf that was not valid yet', { leaf: { notBefore: now + 1 } }, 'NOT_YET_VALID at document.certificate'],
    ['no bundle', { bundle: () => [] }, 'CHAIN_LENGTH at document.cabundle'],
    ['a bundle in reverse', { bundle: (bundle) => [...bundle].reverse() }, 'ROOT_UNTRUSTED at document.cabundle[0]'],
    [
      'a bundle with a gap',
      { bundle: ([root = pcr(0), , instance = pcr(0)]) => [root, instance] },
      'ISSUER_NAME_MISMATCH at document.cabundle[1]',
    ],
    ['an RSA key', { leaf: { key: makeKey('rsa') } }, 'UNSUPPORTED_CERTIFICATE at document.certificate'],
  ])('%s', async (_, options, refusal) => {
    expect((await verdict(options)).replace(/ @ \d+$/, '')).toBe(refusal);
  });

  test('certificates need not be valid any more now', async () => {
    expect(await verdict({ leaf: { notAfter: now + 10 } }, roots, now + 3600)).toBe(moduleId);
  });
});

describe('hostile documents', () => {
  test('signed by another key', async () => {
    expect(await verdict({ documentSigner: stranger })).toBe('SIGNATURE_INVALID at document');
    expect(await verdict({ documentSigner: awsKeys.instance })).toBe('SIGNATURE_INVALID at document');
  });

  test('every byte counts', async () => {
    const document = makeNitroDocument();
    const accepted: number[] = [];
    for (let at = 0; at < document.length; at += 3) {
      const flipped = document.map((byte, index) => (index === at ? byte ^ 1 : byte));
      if (!(await verdict(flipped)).includes(' at ')) accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  const twice = [cbor.text('nonce'), cbor.bytes(Uint8Array.of(1))] as const;
  test.each<[string, NitroWorldOptions, string]>([
    [
      'another algorithm',
      { protectedHeader: Uint8Array.of(0xa1, 0x01, 0x26) },
      'UNSUPPORTED_DOCUMENT at document.protected',
    ],
    ['no algorithm', { protectedHeader: Uint8Array.of(0xa0) }, 'UNSUPPORTED_DOCUMENT at document.protected'],
    [
      'more in its header',
      { protectedHeader: Uint8Array.of(0xa2, 0x01, 0x38, 0x22, 0x04, 0x40) },
      'UNSUPPORTED_DOCUMENT at document.protected',
    ],
    [
      'an unprotected header',
      { unprotectedHeader: cbor.map([[cbor.number(4), cbor.bytes(pcr(1))]]) },
      'MALFORMED_CBOR at document',
    ],
    [
      'an open unprotected header',
      { unprotectedHeader: Uint8Array.of(0xbf, 0x04, 0x40, 0xff) },
      'MALFORMED_CBOR at document',
    ],
    ['no module', { payload: { module_id: undefined } }, 'MALFORMED_DOCUMENT at document.payload'],
    [
      'a module with a space',
      { payload: { module_id: cbor.text('i enc') } },
      'MALFORMED_DOCUMENT at document.payload.module_id',
    ],
    ['no digest', { payload: { digest: undefined } }, 'MALFORMED_DOCUMENT at document.payload'],
    ['another digest', { payload: { digest: cbor.text('SHA256') } }, 'UNSUPPORTED_DOCUMENT at document.payload.digest'],
    ['no time', { payload: { timestamp: undefined } }, 'MALFORMED_DOCUMENT at document.payload'],
    ['a time that is text', { payload: { timestamp: cbor.text('now') } }, 'MALFORMED_CBOR at document.payload'],
    ['no PCRs', { payload: { pcrs: undefined } }, 'MALFORMED_DOCUMENT at document.payload'],
    [
      'no PCR1',
      { payload: { pcrs: pcrsOf({ 0: pcr(1), 2: pcr(1) }) } },
      'MALFORMED_DOCUMENT at document.payload.pcrs[1]',
    ],
    [
      'a short PCR',
      { payload: { pcrs: pcrsOf({ 0: pcr(1), 1: pcr(1), 2: new Uint8Array(32) }) } },
      'MALFORMED_DOCUMENT at document.payload.pcrs[2]',
    ],
    [
      'a PCR too many',
      { payload: { pcrs: pcrsOf({ 0: pcr(1), 1: pcr(1), 2: pcr(1), 32: pcr(1) }) } },
      'MALFORMED_CBOR at document.payload',
    ],
    [
      'a PCR twice',
      { payload: { pcrs: cbor.map([0, 0, 1, 2].map((index) => [cbor.number(index), cbor.bytes(pcr(1))])) } },
      'MALFORMED_DOCUMENT at document.payload.pcrs[0]',
    ],
    ['no certificate', { payload: { certificate: undefined } }, 'MALFORMED_DOCUMENT at document.payload'],
    [
      'a certificate too long',
      { payload: { certificate: cbor.bytes(new Uint8Array(1025)) } },
      'MALFORMED_CBOR at document.payload',
    ],
    ['no bundle at all', { payload: { cabundle: undefined } }, 'MALFORMED_DOCUMENT at document.payload'],
    [
      'a bundle too long',
      { payload: { cabundle: cbor.array(Array.from({ length: 9 }, () => cbor.bytes(pcr(1)))) } },
      'MALFORMED_CBOR at document.payload',
    ],
    [
      'user data too long',
      { payload: { user_data: cbor.bytes(new Uint8Array(513)) } },
      'MALFORMED_CBOR at document.payload',
    ],
    ['a nonce too long', { payload: { nonce: cbor.bytes(new Uint8Array(513)) } }, 'MALFORMED_CBOR at document.payload'],
    [
      'a key too long',
      { payload: { public_key: cbor.bytes(new Uint8Array(1025)) } },
      'MALFORMED_CBOR at document.payload',
    ],
    ['a member twice', { payload: { public_key: undefined }, more: [twice] }, 'MALFORMED_DOCUMENT at document.payload'],
    ['a member too many', { more: [twice] }, 'MALFORMED_CBOR at document.payload'],
    [
      'an unknown member',
      { payload: { nonce: undefined, extra: cbor.null } },
      'MALFORMED_DOCUMENT at document.payload',
    ],
  ])('%s', async (_, options, refusal) => {
    expect((await verdict(options)).replace(/ @ \d+$/, '')).toBe(refusal);
  });

  test('bytes behind it, missing, or beyond all bounds', async () => {
    const document = makeNitroDocument();
    expect(await verdict(concatBytes(document, Uint8Array.of(0)))).toMatch(/^MALFORMED_CBOR at document @ /);
    expect(await verdict(document.subarray(0, -1))).toMatch(/^MALFORMED_CBOR at document @ /);
    expect(await verdict(new Uint8Array(0))).toBe('MALFORMED_CBOR at document @ 0');
    expect(await verdict(new Uint8Array(40_000))).toBe('TOO_LARGE at document');
    expect(await verdict(cbor.array([cbor.null, cbor.null, cbor.null]))).toBe('MALFORMED_DOCUMENT at document');
    expect(
      await verdict({
        payload: { nonce: undefined },
        map: ((entries) => concatBytes(cbor.openMap(entries), Uint8Array.of(0))) satisfies typeof cbor.map,
      }),
    ).toMatch(/^MALFORMED_CBOR at document\.payload @ /);
  });
});

describe('CBOR', () => {
  const reader = (...bytes: readonly number[]) => new CborReader(Uint8Array.from(bytes), 'it');
  const malformed = (action: () => unknown) =>
    expect(action).toThrow(expect.objectContaining({ name: 'AttestationError', code: 'MALFORMED_CBOR' }));

  test.each([
    [[0x17], 23],
    [[0x18, 24], 24],
    [[0x19, 1, 0], 256],
    [[0x1a, 0, 1, 0, 0], 65_536],
    [[0x1b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Number.MAX_SAFE_INTEGER],
  ])('reads %j', (bytes, value) => {
    expect(reader(...bytes).unsigned(Number.MAX_SAFE_INTEGER, 'it')).toBe(value);
  });

  test.each([
    ['a length in more bytes than it needs', [0x18, 23]],
    ['two bytes for one', [0x19, 0, 0xff]],
    ['four bytes for two', [0x1a, 0, 0, 0xff, 0xff]],
    ['eight bytes for four', [0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]],
    ['a number of 2^53', [0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0]],
    ['the largest number', [0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['a reserved length', [0x1c]],
    ['an indefinite length', [0x1f]],
    ['a negative number', [0x20]],
    ['the end', []],
    ['the end in a length', [0x19, 1]],
  ])('no number is %s', (_, bytes) => {
    malformed(() => reader(...bytes).unsigned(Number.MAX_SAFE_INTEGER, 'it'));
  });

  test('strings stay in their bounds, and allocate nothing', () => {
    const bytes = Uint8Array.of(0x43, 1, 2, 3);
    expect(new CborReader(bytes, 'it').byteString(3, 'it').buffer).toBe(bytes.buffer);
    malformed(() => reader(0x43, 1, 2, 3).byteString(2, 'it'));
    malformed(() => reader(0x43, 1, 2).byteString(3, 'it'));
    malformed(() =>
      reader(0x5b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff).byteString(Number.MAX_SAFE_INTEGER, 'it'),
    );
    malformed(() => reader(0x5f, 0x41, 1, 0xff).byteString(3, 'it'));
    malformed(() => reader(0x62, 0xff, 0xff).text(2, 'it'));
    malformed(() => reader(0x63, 0x61).text(3, 'it'));
  });

  test('a map that never ends, and one that announces more than there is', () => {
    const endless = new CborReader(new Uint8Array(100_000).fill(0), 'it');
    endless.bytes[0] = 0xbf;
    malformed(() => endless.entries(4, 'it', () => endless.unsigned(1, 'it')));
    const short = reader(0xa2, 0, 0);
    malformed(() => short.entries(4, 'it', () => [short.unsigned(1, 'it'), short.unsigned(1, 'it')]));
    const open = reader(0xbf, 0);
    malformed(() => open.entries(4, 'it', () => open.unsigned(1, 'it')));
    malformed(() => reader(0x9b, 0, 0, 0, 1, 0, 0, 0, 0).array(8, 'it'));
    malformed(() => reader(0x9f).array(8, 'it'));
    malformed(() => reader(0).finish('it'));
  });
});

describe.skipIf(!hasFixtures)('real Nitro evidence', () => {
  /** COSE_Sign1 without what stands around it in the file: a header of 4 bytes, and other data behind. */
  const load = (name: string): Uint8Array => {
    const file = fixture(`nitro/${name}.bin`).slice(4);
    const payloadLength = ((file[8] ?? 0) << 8) | (file[9] ?? 0);
    return file.subarray(0, 10 + payloadLength + 2 + 96);
  };
  const at = { 'dstack-nsm': 1_766_668_537, dstack: 1_766_678_659, 'dstack-debug': 1_766_650_846 } as const;

  test.each(['dstack-nsm', 'dstack'] as const)('%s', async (name) => {
    const options = { evidenceBytes: load(name), at: at[name] + 60 };
    const result = await verifyEvidenceFile(options);
    expect(result).toMatchObject({ ok: true, teeType: 'nitro', tcbStatus: null });
    expect(result.claims).toMatchObject({ simulated: false, debug: false, signedAt: at[name] });
    const flipped = options.evidenceBytes.map((byte, index) => (index === 200 ? byte ^ 1 : byte));
    expect((await verifyEvidenceFile({ ...options, evidenceBytes: flipped })).ok).toBe(false);
    expect(await verifyEvidenceFile({ ...options, at: options.at + 86_400 })).toMatchObject({
      refusal: { code: 'TOO_OLD' },
    });
    expect(await verifyEvidenceFile({ ...options, roots: [awsRoot] })).toMatchObject({
      refusal: { code: 'ROOT_UNTRUSTED' },
    });
  });

  test('an enclave in debug mode verifies, and is refused', async () => {
    const options = { evidenceBytes: load('dstack-debug'), at: at['dstack-debug'] + 60 };
    expect(await verifyEvidenceFile(options)).toMatchObject({
      ok: false,
      teeType: 'nitro',
      claims: { debug: true, pcrs: {} },
      refusal: { code: 'DEBUG_REFUSED', place: 'claims.debug' },
    });
  });

  test('the root is the pinned one', () => {
    expect(trustRootOfCertificate(fixture('nitro/AWS_NitroEnclaves_Root-G1.pem'))).toMatchObject({
      simulated: false,
      vendor: 'aws',
      spkiSha256: awsNitroRoot.spkiSha256,
    });
    expect(pinnedRoots).toContain(awsNitroRoot);
  });
});
