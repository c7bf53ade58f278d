import { describe, expect, test } from 'vitest';
import { der, integer, octetString } from '../../src/unsafe-simulated/derWriter.ts';
import { makeSimulatedRoot, randomSerial } from '../../src/unsafe-simulated/index.ts';
import {
  type AnyCertificateSpec,
  ecdsaWithSha384,
  makeKey,
  pssAlgorithm,
} from '../../src/unsafe-simulated/vendorCertificate.ts';
import { amdRoots, type TrustRoot, trustRootOfSpki } from '../../src/verify/index.ts';
import { verifySnpKey } from '../../src/verify/snp/verifySnpKey.ts';
import { verifySnpReport } from '../../src/verify/snp/verifySnpReport.ts';
import { now, outcome } from '../synthetic.ts';
import { amdKeys, amdRoot, makeSnpWorld, type SnpWorldOptions, strangeExtension } from './syntheticSnp.ts';

const stranger = makeKey('rsa');
const otherChipKey = makeKey('p384');

/** The product, or `CODE at place`. */
async function verdict(options: SnpWorldOptions, roots: readonly TrustRoot[] = [amdRoot], at = now): Promise<string> {
  const { report, certificates } = makeSnpWorld(options);
  return outcome(async () => {
    const key = await verifySnpKey(certificates, { roots, now: at });
    return (await verifySnpReport(report, key, { now: at })).product;
  });
}

const set = (at: number, ...bytes: readonly number[]) => ({
  edit: (report: Uint8Array): void => report.set(bytes, at),
});
const ia5 = (text: string): Uint8Array => der(0x16, Buffer.from(text));

test('the good one is good', async () => {
  expect(await verdict({})).toBe('Milan');
});

describe('roots', () => {
  test('a stranger root', async () => {
    const others = trustRootOfSpki(stranger.spki, 'amd');
    expect(await verdict({}, [others])).toBe('ROOT_UNTRUSTED at certificates.root');
    expect(await verdict({}, amdRoots)).toBe('ROOT_UNTRUSTED at certificates.root');
  });

  test("a root that is trusted for another vendor's evidence", async () => {
    expect(await verdict({}, [{ ...amdRoot, vendor: 'intel' }])).toBe('ROOT_UNTRUSTED at certificates.root');
    const { vendor: _, ...unsaid } = amdRoot;
    expect(await verdict({}, [unsaid])).toBe('ROOT_UNTRUSTED at certificates.root');
    expect(await verdict({}, [makeSimulatedRoot(now).trustRoot])).toBe('ROOT_UNTRUSTED at certificates.root');
  });

  test('lists that trust nothing, lie or mix the worlds', async () => {
    expect(await verdict({}, [])).toBe('ROOTS_INVALID at roots');
    expect(await verdict({}, [{ ...amdRoot, simulated: false }])).toBe('ROOTS_INVALID at roots');
    expect(await verdict({}, [amdRoot, ...amdRoots])).toBe('ROOTS_INVALID at roots');
    const [milan] = amdRoots;
    expect(await verdict({}, milan === undefined ? [] : [{ ...milan, vendor: 'aws' }])).toBe('ROOTS_INVALID at roots');
  });

  test.each([
    ['that it did not sign', { signer: stranger }, 'SIGNATURE_INVALID'],
    ['that makes it no CA', { isCa: false }, 'NOT_A_CA'],
    ['without constraints', { isCa: undefined }, 'NOT_A_CA'],
    ['that may sign no lists', { keyUsage: 0x04 }, 'KEY_USAGE_FORBIDS'],
    ['of another issuer', { issuer: 'DEV unsafe simulated ARK-Genoa' }, 'ISSUER_NAME_MISMATCH'],
    ['that is expired', { notAfter: now - 1 }, 'EXPIRED'],
    ['that is not valid yet', { notBefore: now + 1 }, 'NOT_YET_VALID'],
  ])('the trusted key under a certificate %s', async (_, ark, code) => {
    expect(await verdict({ ark })).toBe(`${code} at certificates.root`);
  });

  test.each([
    ['without the DEV prefix', 'ARK-Milan'],
    ['of a processor that is none', 'DEV unsafe simulated ARK-Naples'],
    ['of an intermediate', 'DEV unsafe simulated SEV-Milan'],
  ])('the trusted key under a name %s', async (_, name) => {
    expect(await verdict({ ark: { subject: name, issuer: name } })).toBe('WRONG_ROLE at certificates.root');
  });
});

describe('the revocation list', () => {
  test.each([
    ['by a stranger', { signer: stranger, issuerKey: amdKeys.ark }, 'SIGNATURE_INVALID at crl'],
    ['by the ASK', { signer: amdKeys.ask, issuerKey: amdKeys.ark }, 'SIGNATURE_INVALID at crl'],
    ['of another issuer', { issuer: 'DEV unsafe simulated ARK-Genoa' }, 'CRL_ISSUER_MISMATCH at crl'],
    ["that names another's key", { issuerKey: stranger }, 'ISSUER_KEY_ID_MISMATCH at crl'],
    ['that is outdated', { nextUpdate: now - 1 }, 'EXPIRED at crl'],
    ['of the future', { thisUpdate: now + 1 }, 'NOT_YET_VALID at crl'],
  ])('%s', async (_, crl, refusal) => {
    expect(await verdict({ crl })).toBe(refusal);
  });

  test('that lists the ASK', async () => {
    const serial = randomSerial();
    expect(await verdict({ ask: { serial }, crl: { revoked: [randomSerial()] } })).toBe('Milan');
    expect(await verdict({ ask: { serial }, crl: { revoked: [randomSerial(), serial] } })).toBe(
      'REVOKED at certificates.intermediate',
    );
  });

  test('that lists the VCEK', async () => {
    const serial = randomSerial();
    expect(await verdict({ leaf: { serial }, crl: { revoked: [serial] } })).toBe('REVOKED at certificates.leaf');
    expect(await verdict({ crl: { revoked: [Uint8Array.of(0)] } })).toBe('REVOKED at certificates.leaf');
  });

  test('that is empty, or no list', async () => {
    const { report, certificates } = makeSnpWorld();
    for (const crl of [new Uint8Array(0), certificates.leaf])
      expect(
        await outcome(async () => {
          const key = await verifySnpKey({ ...certificates, crl }, { roots: [amdRoot], now });
          return (await verifySnpReport(report, key, { now })).product;
        }),
      ).toMatch(/^(MALFORMED_DER|UNSUPPORTED_CRL) at crl/);
  });
});

describe('the ASK', () => {
  test.each<[string, Partial<AnyCertificateSpec>, string]>([
    ['issued by a stranger', { signer: stranger }, 'SIGNATURE_INVALID'],
    ['issued by itself', { signer: amdKeys.ask, issuerKey: undefined }, 'SIGNATURE_INVALID'],
    ['of another issuer', { issuer: 'DEV unsafe simulated ARK-Genoa' }, 'ISSUER_NAME_MISMATCH'],
    ["that names another's key", { issuerKey: stranger }, 'ISSUER_KEY_ID_MISMATCH'],
    ['that is no CA', { isCa: false, pathLength: undefined }, 'NOT_A_CA'],
    ['that may sign data only', { keyUsage: 0x80 }, 'KEY_USAGE_FORBIDS'],
    ['of another product', { subject: 'DEV unsafe simulated SEV-Genoa' }, 'WRONG_ROLE'],
    ['without the DEV prefix', { subject: 'SEV-Milan' }, 'WRONG_ROLE'],
    ['that is expired', { notAfter: now - 1 }, 'EXPIRED'],
    ['that is not valid yet', { notBefore: now + 1 }, 'NOT_YET_VALID'],
  ])('%s', async (_, ask, code) => {
    expect(await verdict({ ask, leaf: { issuer: ask.subject ?? 'DEV unsafe simulated SEV-Milan' } })).toBe(
      `${code} at certificates.intermediate`,
    );
  });

  test('below an ARK whose path length forbids it', async () => {
    expect(await verdict({ ark: { pathLength: 0 } })).toBe('PATH_LENGTH_EXCEEDED at certificates.root');
  });
});

describe('the leaf', () => {
  test.each([
    ['issued by a stranger', { signer: stranger }, 'SIGNATURE_INVALID'],
    ["issued by the ARK in the ASK's name", { signer: amdKeys.ark }, 'SIGNATURE_INVALID'],
    ['of another issuer', { issuer: 'DEV unsafe simulated SEV-Genoa' }, 'ISSUER_NAME_MISMATCH'],
    ['that is a CA', { isCa: true }, 'CA_NOT_ALLOWED'],
    ['that may not sign data', { isCa: false, keyUsage: 0x40 }, 'KEY_USAGE_FORBIDS'],
    ['of another role', { subject: 'DEV unsafe simulated SEV-VLEK' }, 'WRONG_ROLE'],
    ['without the DEV prefix', { subject: 'SEV-VCEK' }, 'WRONG_ROLE'],
    ['that is expired', { notAfter: now - 1 }, 'EXPIRED'],
    ['that is not valid yet', { notBefore: now + 1 }, 'NOT_YET_VALID'],
  ])('%s', async (_, leaf, code) => {
    expect(await verdict({ leaf })).toBe(`${code} at certificates.leaf`);
  });

  test('a VCEK below the ASVK, and a VLEK below the ASK', async () => {
    expect(await verdict({ signer: 'vlek', leaf: { subject: 'DEV unsafe simulated SEV-VCEK' } })).toBe(
      'WRONG_ROLE at certificates.leaf',
    );
    expect(
      await verdict({
        ask: { subject: 'DEV unsafe simulated SEV-VLEK-Milan' },
        leaf: { issuer: 'DEV unsafe simulated SEV-VLEK-Milan' },
      }),
    ).toBe('WRONG_ROLE at certificates.leaf');
  });

  test('below an ASK whose path length has no room', async () => {
    expect(await verdict({ ask: { pathLength: 0 } })).toBe('Milan');
  });

  test.each([
    ['another product', { '2': ia5('Genoa-B1') }, 'PRODUCT_MISMATCH at certificates.leaf.productName'],
    ['a product that only begins alike', { '2': ia5('Milano') }, 'PRODUCT_MISMATCH at certificates.leaf.productName'],
    ['no product', { '2': undefined }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    [
      'a product in another form',
      { '2': octetString(Buffer.from('Milan-B0')) },
      /^MALFORMED_DER at certificates\.leaf/,
    ],
    ['a product with control characters', { '2': ia5('Milan-\n') }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['no structure version', { '1': undefined }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['no bootloader version', { '3.1': undefined }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['no TEE version', { '3.2': undefined }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['no SNP version', { '3.3': undefined }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['no microcode version', { '3.8': undefined }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['a version with bytes behind it', { '3.1': Uint8Array.of(2, 1, 3, 0) }, /^MALFORMED_DER at certificates\.leaf/],
    ['a version above a byte', { '3.1': integer(256) }, /^MALFORMED_DER at certificates\.leaf/],
    ['a reserved version in use', { '3.5': integer(1) }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['an FMC, which only Turin has', { '3.9': integer(0) }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['no chip', { '4': undefined }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['a chip of another length', { '4': new Uint8Array(8) }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
    ['a cloud too', { '5': ia5('cloud.example') }, 'MALFORMED_CERTIFICATE at certificates.leaf'],
  ])('a VCEK with %s', async (_, extensions, refusal) => {
    const got = await verdict({ extensions });
    if (typeof refusal === 'string') expect(got).toBe(refusal);
    else expect(got).toMatch(refusal);
  });

  test('a VLEK without a cloud, or with a chip', async () => {
    expect(await verdict({ signer: 'vlek', extensions: { '5': undefined } })).toBe(
      'MALFORMED_CERTIFICATE at certificates.leaf',
    );
    expect(await verdict({ signer: 'vlek', extensions: { '4': new Uint8Array(64) } })).toBe(
      'MALFORMED_CERTIFICATE at certificates.leaf',
    );
  });

  test('of Turin without an FMC', async () => {
    expect(await verdict({ product: 'Turin', extensions: { '3.9': undefined } })).toBe(
      'MALFORMED_CERTIFICATE at certificates.leaf',
    );
  });

  test('with an extension that nobody knows: a critical one is refused', async () => {
    const { certificates } = makeSnpWorld();
    expect(certificates.leaf.length).toBeGreaterThan(0);
    expect(await verdict({ leaf: { extensions: [strangeExtension(true)] } })).toBe(
      'UNSUPPORTED_CERTIFICATE at certificates.leaf',
    );
  });
});

describe('algorithms', () => {
  test.each([
    ['another salt length', pssAlgorithm({ saltLength: 32 })],
    ['another trailer', pssAlgorithm({ trailer: 2 })],
    ['ECDSA', ecdsaWithSha384],
  ])('a leaf that says it is signed with %s', async (_, algorithm) => {
    expect(await verdict({ leaf: { algorithm } })).toMatch(
      /^(UNSUPPORTED_CERTIFICATE|MALFORMED_DER) at certificates\.leaf/,
    );
  });

  test('a certificate that names two algorithms', async () => {
    expect(await verdict({ leaf: { innerAlgorithm: pssAlgorithm({ trailer: undefined }) } })).toBe(
      'MALFORMED_CERTIFICATE at certificates.leaf',
    );
  });

  test("a key of Intel's kind", async () => {
    expect(await verdict({ leaf: { key: makeKey('p256') } })).toMatch(/^UNSUPPORTED_CERTIFICATE at certificates\.leaf/);
  });

  test('an RSA key where the key of a chip must stand', async () => {
    expect(await verdict({ leaf: { key: stranger } })).toBe('SIGNATURE_INVALID at report');
  });

  test('a certificate beyond all bounds', async () => {
    const { certificates } = makeSnpWorld();
    const leaf = new Uint8Array(9000);
    expect(
      await outcome(async () => (await verifySnpKey({ ...certificates, leaf }, { roots: [amdRoot], now })).product),
    ).toBe('TOO_LARGE at certificates.leaf');
  });
});

describe('report against certificate', () => {
  test("signed by another chip's key", async () => {
    expect(await verdict({ reportSigner: otherChipKey })).toBe('SIGNATURE_INVALID at report');
  });

  test('every field that is signed counts', async () => {
    const { report, certificates } = makeSnpWorld({ version: 5 });
    const key = await verifySnpKey(certificates, { roots: [amdRoot], now });
    const accepted: number[] = [];
    for (let at = 0; at < report.length; at++) {
      const flipped = report.map((byte, index) => (index === at ? byte ^ 1 : byte));
      if (!(await outcome(async () => (await verifySnpReport(flipped, key, { now })).product)).includes(' at '))
        accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  test('a VLEK report under a VCEK certificate, and the reverse', async () => {
    expect(await verdict(set(0x48, 1 << 2))).toBe('SIGNING_KEY_MISMATCH at report.signingKey');
    expect(await verdict({ signer: 'vlek', ...set(0x48, 0) })).toBe('SIGNING_KEY_MISMATCH at report.signingKey');
  });

  test("by a chip's key that the host has masked", async () => {
    expect(await verdict(set(0x48, 2))).toBe('SIGNING_KEY_MISMATCH at report.maskChipKey');
  });

  test.each([
    ['bootloader', 0x180, 2],
    ['tee', 0x181, 0],
    ['snp', 0x186, 9],
    ['microcode', 0x187, 116],
  ])('another %s version than the key is of', async (part, at, version) => {
    expect(await verdict(set(at, version))).toBe(`TCB_MISMATCH at report.reportedTcb.${part}`);
  });

  test('of Turin: another FMC', async () => {
    expect(await verdict({ product: 'Turin', ...set(0x180, 9) })).toBe('TCB_MISMATCH at report.reportedTcb.fmc');
  });

  test.each([
    ['reportedTcb', 0x182],
    ['currentTcb', 0x3a],
    ['committedTcb', 0x1e2],
    ['launchTcb', 0x1f2],
  ])('a %s with something in its reserved bytes', async (field, at) => {
    expect(await verdict(set(at, 1))).toBe(`MALFORMED_REPORT at report.${field}`);
  });

  test("another chip's id, and none", async () => {
    expect(await verdict(set(0x1a0, 9))).toBe('CHIP_ID_MISMATCH at report.chipId');
    expect(await verdict({ edit: (report) => void report.fill(0, 0x1a0, 0x1e0) })).toBe(
      'CHIP_ID_MISMATCH at report.chipId',
    );
  });

  test('another processor than the chain is of', async () => {
    expect(await verdict({ version: 3, ...set(0x188, 0x19, 0x11) })).toBe('PRODUCT_MISMATCH at report.cpuid');
    expect(await verdict({ version: 3, ...set(0x188, 0, 0) })).toBe('PRODUCT_MISMATCH at report.cpuid');
  });

  test('certificates that have expired since they were verified', async () => {
    const { report, certificates } = makeSnpWorld();
    const key = await verifySnpKey(certificates, { roots: [amdRoot], now });
    const at = async (time: number) => outcome(async () => (await verifySnpReport(report, key, { now: time })).product);
    expect(await at(now + 2 * 86_400)).toBe('EXPIRED at crl');
    expect(await at(now - 2 * 86_400)).toBe('NOT_YET_VALID at certificates.root');
    expect(await at(Number.NaN)).toBe('INVALID_TIME at now');
  });
});

describe('the form of a report', () => {
  test.each([
    ['version 1', set(0x00, 1), 'UNSUPPORTED_REPORT at report.version'],
    ['version 4', set(0x00, 4), 'UNSUPPORTED_REPORT at report.version'],
    ['version 2^24 + 2', set(0x03, 1), 'UNSUPPORTED_REPORT at report.version'],
    ['another signature algorithm', set(0x34, 2), 'UNSUPPORTED_REPORT at report.signatureAlgorithm'],
    ['VMPL 4', set(0x30, 4), 'MALFORMED_REPORT at report.vmpl'],
    ['no key', set(0x48, 7 << 2), 'UNSUPPORTED_REPORT at report.signingKey'],
    ['a key that has no name', set(0x48, 2 << 2), 'UNSUPPORTED_REPORT at report.signingKey'],
    ['key bits that have no meaning', set(0x48, 0x20), 'MALFORMED_REPORT at report.keyInfo'],
    ['a policy without bit 17', set(0x0a, 0x01), 'MALFORMED_REPORT at report.policy'],
    ['a policy bit that has no meaning', set(0x0b, 0x04), 'MALFORMED_REPORT at report.policy'],
    ["an author key's digest without an author key", set(0x110, 1), 'MALFORMED_REPORT at report.authorKeyDigest'],
    ['a reserved byte at 0x4c', set(0x4c, 1), 'MALFORMED_REPORT at report @ 76'],
    ['a CPUID in version 2', set(0x188, 1), 'MALFORMED_REPORT at report @ 392'],
    ['a reserved byte at 0x1eb', set(0x1eb, 1), 'MALFORMED_REPORT at report @ 491'],
    ['a reserved byte at 0x1ef', set(0x1ef, 1), 'MALFORMED_REPORT at report @ 495'],
    ['a reserved byte at 0x29f', set(0x29f, 1), 'MALFORMED_REPORT at report @ 504'],
  ])('%s', async (_, options, refusal) => {
    expect(await verdict(options)).toBe(refusal);
  });

  test('a report with an author key', async () => {
    expect(
      await verdict({
        edit: (report) => {
          report[0x48] = 1;
          report[0x110] = 1;
        },
      }),
    ).toBe('Milan');
  });

  test.each([0x2a0 + 48, 0x2a0 + 71, 0x2e8 + 48, 0x330, 0x49f])('a byte at %i that no signature has', async (at) => {
    const { report, certificates } = makeSnpWorld();
    const key = await verifySnpKey(certificates, { roots: [amdRoot], now });
    report[at] = 1;
    expect(await outcome(async () => (await verifySnpReport(report, key, { now })).product)).toMatch(
      /^MALFORMED_REPORT at report @ /,
    );
  });

  test('another length', async () => {
    const { report, certificates } = makeSnpWorld();
    const key = await verifySnpKey(certificates, { roots: [amdRoot], now });
    for (const bytes of [new Uint8Array(0), report.subarray(1), new Uint8Array(4000)])
      expect(await outcome(async () => (await verifySnpReport(bytes, key, { now })).product)).toBe(
        'MALFORMED_REPORT at report',
      );
  });
});
