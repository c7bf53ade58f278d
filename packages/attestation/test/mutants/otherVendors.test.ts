import { concatBytes } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { der, integer, oid, sequence } from '../../src/unsafe-simulated/derWriter.ts';
import { JsonValue } from '../../src/verify/json.ts';
import { verifyNitroDocument } from '../../src/verify/nitro/verifyNitroDocument.ts';
import { productOfCpuid } from '../../src/verify/snp/product.ts';
import { parseSnpReport } from '../../src/verify/snp/report.ts';
import { verifySnpKey } from '../../src/verify/snp/verifySnpKey.ts';
import { DerReader } from '../../src/verify/x509/der.ts';
import { readAlgorithm } from '../../src/verify/x509/signature.ts';
import { awsRoot, makeNitroDocument } from '../nitro/syntheticNitro.ts';
import { amdRoot, makeSnpWorld } from '../snp/syntheticSnp.ts';
import { now } from '../synthetic.ts';
import { laterMessageOf, messageOf } from './messageOf.ts';

describe('the identifier of RSASSA-PSS', () => {
  const extra = der(0x05);
  const none: Uint8Array = new Uint8Array(0);
  const sha384 = sequence(oid('2.16.840.1.101.3.4.2.2'), extra);
  const sha256 = sequence(oid('2.16.840.1.101.3.4.2.1'), extra);
  const mgf1 = oid('1.2.840.113549.1.1.8');
  const parts = {
    hash: der(0xa0, sha384),
    mask: der(0xa1, sequence(mgf1, sha384)),
    salt: der(0xa2, integer(48)),
    trailer: der(0xa3, integer(1)),
    end: none,
  };
  const read = (changes: Partial<typeof parts>, behind: Uint8Array = none) => {
    const parameters = sequence(...Object.values({ ...parts, ...changes }));
    const identifier = sequence(oid('1.2.840.113549.1.1.10'), parameters, behind);
    return messageOf(() =>
      readAlgorithm(new DerReader(identifier, 'it'), ['rsa-pss-sha384'], 'UNSUPPORTED_CERTIFICATE'),
    );
  };
  const bareSha384 = sequence(oid('2.16.840.1.101.3.4.2.2'));

  test('is read with SHA-384 throughout, with and without what is the default', () => {
    expect(read({})).toBe('ok');
    expect(read({ trailer: none })).toBe('ok');
    expect(read({ hash: der(0xa0, bareSha384), mask: der(0xa1, sequence(mgf1, bareSha384)) })).toBe('ok');
  });

  test.each<[string, Partial<typeof parts>]>([
    ['another hash', { hash: der(0xa0, sha256) }],
    ['another hash in the mask', { mask: der(0xa1, sequence(mgf1, sha256)) }],
    ['another mask', { mask: der(0xa1, sequence(oid('1.2.3'), sha384)) }],
    ['a shorter salt', { salt: der(0xa2, integer(32)) }],
    ['another trailer', { trailer: der(0xa3, integer(2)) }],
    [
      'a hash with parameters of NULL that are not empty',
      { hash: der(0xa0, sequence(oid('2.16.840.1.101.3.4.2.2'), der(5, extra))) },
    ],
    [
      'a hash with more than its parameters',
      { hash: der(0xa0, sequence(oid('2.16.840.1.101.3.4.2.2'), extra, extra)) },
    ],
    [
      'another hash with parameters of its own',
      { hash: der(0xa0, sequence(oid('2.16.840.1.101.3.4.2.1'), integer(1))) },
    ],
    ['another hash without parameters', { hash: der(0xa0, sequence(oid('2.16.840.1.101.3.4.2.1'))) }],
  ])('%s is not supported', (_, changes) => {
    expect(read(changes)).toContain('UNSUPPORTED_CERTIFICATE');
  });

  test.each<[string, Partial<typeof parts>, string]>([
    ['the hash', { hash: der(0xa0, sha384, extra) }, 'the hash of PSS to end here'],
    ['the mask', { mask: der(0xa1, sequence(mgf1, sha384), extra) }, 'the mask generation of PSS to end here'],
    [
      'the hash of the mask',
      { mask: der(0xa1, sequence(mgf1, sha384, extra)) },
      'the mask generation of PSS to end here',
    ],
    ['the salt', { salt: der(0xa2, integer(48), extra) }, 'the salt length of PSS to end here'],
    ['the trailer', { trailer: der(0xa3, integer(1), extra) }, 'the trailer field of PSS to end here'],
    ['the parameters', { end: extra }, 'the PSS parameters to end here'],
  ])('more behind %s is refused', (_, changes, expected) => {
    expect(read(changes)).toContain(expected);
  });

  test('more behind its parameters is refused', () => {
    expect(read({}, extra)).toContain('the signature algorithm to end here');
  });
});

describe('SNP', () => {
  const verifyKey = (...options: Parameters<typeof makeSnpWorld>) =>
    laterMessageOf(() => verifySnpKey(makeSnpWorld(...options).certificates, { roots: [amdRoot], now }));
  const named = (bytes: Uint8Array) => verifyKey({ extensions: { '2': bytes } });
  const ia5 = (text: string) => der(0x16, Buffer.from(text, 'latin1'));

  test('the name of a product has up to 64 characters of ASCII', async () => {
    expect(await named(ia5(`Milan-${'x'.repeat(58)}`))).toBe('ok');
    expect(await named(ia5('Milan- ~'))).toBe('ok');
    for (const text of [`Milan-${'x'.repeat(59)}`, 'Milan-\x1f', 'Milan-\x7f'])
      expect(await named(ia5(text))).toContain('MALFORMED_CERTIFICATE');
    expect(await named(concatBytes(ia5('Milan'), der(0x05)))).toContain('productName to end here');
  });

  test('lines of processors begin and end with their models', () => {
    const models = [0x00, 0x0f, 0x10, 0x1f, 0x20, 0x9f, 0xa0, 0xaf, 0xb0];
    expect(models.map((model) => productOfCpuid(0x19, model))).toEqual([
      'Milan',
      'Milan',
      'Genoa',
      'Genoa',
      undefined,
      undefined,
      'Genoa',
      'Genoa',
      undefined,
    ]);
    expect([0x1f, 0x20].map((model) => productOfCpuid(0x1a, model))).toEqual(['Turin', undefined]);
  });

  test('a report at the lowest privilege that there is, and below', () => {
    const at = (vmpl: number) => {
      const { report } = makeSnpWorld({ edit: (bytes) => bytes.set([vmpl], 0x30) });
      return messageOf(() => parseSnpReport(report));
    };
    expect(at(3)).toBe('ok');
    expect(at(4)).toContain('MALFORMED_REPORT at report.vmpl');
  });

  test('certificates at a time that is none, and after their end', async () => {
    const { certificates } = makeSnpWorld();
    const at = (time: number) => laterMessageOf(() => verifySnpKey(certificates, { roots: [amdRoot], now: time }));
    expect(await at(Number.NaN)).toContain('INVALID_TIME');
    expect(await at(now + 100 * 365 * 86_400)).toContain('EXPIRED');
    expect(await at(now - 100 * 86_400)).toContain('NOT_YET_VALID');
  });
});

describe('a Nitro document', () => {
  const bytes = makeNitroDocument();
  const at = (time: number, maxAgeSeconds?: number) =>
    laterMessageOf(() => verifyNitroDocument(bytes, { roots: [awsRoot], now: time, maxAgeSeconds }));

  test('at a time that is none, or with an age that is none', async () => {
    expect(await at(Number.NaN)).toContain('INVALID_TIME');
    expect(await at(now, Number.NaN)).toContain('INVALID_TIME');
  });

  test('from 5 minutes ahead, and from later', async () => {
    const { signedAt } = await verifyNitroDocument(bytes, { roots: [awsRoot], now });
    expect(await at(signedAt - 300)).toBe('ok');
    expect(await at(signedAt - 301)).toContain('FROM_THE_FUTURE');
  });
});

test('an object with as many members as it may have', () => {
  const of = (json: string) => messageOf(() => JsonValue.parse(json, 'it', 'MALFORMED_TOKEN').entries(2));
  expect(of('{"a":1,"b":2}')).toBe('ok');
  expect(of('{"a":1,"b":2,"c":3}')).toContain('at most 2 members');
});
