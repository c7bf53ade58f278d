import { beforeAll, describe, expect, test } from 'vitest';
import handler, { type SignedCreditFile } from '../function.ts';
import { createIssuer, type Issuer, loadIssuer, sampleCreditFile } from '../issuer.ts';
import { scoreCreditFile } from '../score.ts';

const applicant = `0x${'ab'.repeat(20)}`;
let issuer: Issuer;
let signed: SignedCreditFile;
beforeAll(async () => {
  issuer = await createIssuer();
  signed = await issuer.sign(sampleCreditFile(applicant));
});

function post(path: string, body: unknown, key = issuer.publicKey): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return handler.fetch(new Request(`https://app.example${path}`, { method: 'POST', body: text }), { ISSUER_KEY: key });
}

describe('a file as its issuer signed it', () => {
  test('gets a report with the very score of plain Node.js', async () => {
    const response = await post('/report', signed);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ applicant, ...scoreCreditFile(sampleCreditFile(applicant)) });
  });

  test('gets a decision that a contract can decode, and nothing else', async () => {
    const response = await post('/decision', signed);
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    const { limit } = scoreCreditFile(sampleCreditFile(applicant));
    const words = [applicant.slice(2), '1', limit.toString(16)].map((word) => word.padStart(64, '0'));
    expect(Buffer.from(await response.arrayBuffer()).toString('hex')).toBe(words.join(''));
  });

  test('gets a no as well', async () => {
    const poor = await issuer.sign({ ...sampleCreditFile(applicant), monthlyIncome: 0 });
    const bytes = Buffer.from(await (await post('/decision', poor)).arrayBuffer());
    expect(bytes.subarray(32).every((byte) => byte === 0)).toBe(true);
  });

  test('is still his after he has stored his keys', async () => {
    const again = await loadIssuer(JSON.parse(JSON.stringify(await issuer.export())));
    expect(again.publicKey).toBe(issuer.publicKey);
    expect((await post('/report', await again.sign(sampleCreditFile(applicant)))).status).toBe(200);
  });
});

describe('anything else is refused, with the reason', () => {
  const edit = (from: string, to: string) => ({ ...signed, statement: signed.statement.replace(from, to) });
  const unsigned = "The file does not carry its issuer's signature";

  test.each<[string, () => unknown, string]>([
    ['one digit changed', () => edit('"monthlyIncome":4250', '"monthlyIncome":9250'), unsigned],
    ['a space added', () => edit(':4250', ': 4250'), unsigned],
    ['another applicant', () => edit('abab', 'cdcd'), unsigned],
    [
      'one character of the signature changed',
      () => ({ ...signed, signature: `${signed.signature.startsWith('A') ? 'B' : 'A'}${signed.signature.slice(1)}` }),
      unsigned,
    ],
    ['a signature that is too short', () => ({ ...signed, signature: signed.signature.slice(0, 40) }), unsigned],
    ['a signature that is no base64', () => ({ ...signed, signature: '%%%' }), unsigned],
    ['an empty signature', () => ({ ...signed, signature: '' }), unsigned],
    ['no signature', () => ({ statement: signed.statement }), 'The file is not signed'],
    ['the file itself, unsigned', () => sampleCreditFile(applicant), 'The file is not signed'],
    ['no JSON', () => 'hello', 'The request is no JSON'],
    ['nothing', () => '', 'The request is no JSON'],
    ['null', () => 'null', 'The file is not signed'],
  ])('%s', async (_, body, reason) => {
    for (const path of ['/report', '/decision']) {
      const response = await post(path, body());
      expect(response.status).toBe(422);
      expect(await response.json()).toEqual({ refused: reason });
    }
  });

  test('a file of another issuer, also where he says that he is this one', async () => {
    const other = await createIssuer();
    expect((await post('/report', await other.sign(sampleCreditFile(applicant)))).status).toBe(422);
    expect((await post('/report', signed, other.publicKey)).status).toBe(422);
  });

  test('a file that its issuer signed, but that is none', async () => {
    const response = await post('/report', await issuer.sign({ ...sampleCreditFile(applicant), monthlyIncome: -5 }));
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({ refused: 'Field "monthlyIncome" is no amount' });
  });

  test.each([
    ['GET', '/report'],
    ['POST', '/'],
    ['POST', '/reports'],
    ['PUT', '/decision'],
  ])('%s %s is no question', async (method, path) => {
    const body = method === 'GET' ? null : JSON.stringify(signed);
    const response = await handler.fetch(new Request(`https://app.example${path}`, { method, body }), {
      ISSUER_KEY: issuer.publicKey,
    });
    expect(response.status).toBe(404);
  });
});
