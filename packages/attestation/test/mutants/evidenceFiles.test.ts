import { describe, expect, test } from 'vitest';
import {
  CheckList,
  type CheckNode,
  EvidenceVerifier,
  evidenceDocument,
  serialiseEvidence,
  verifyEvidenceFile,
} from '../../src/verify/index.ts';
import { makeWorld, now } from '../synthetic.ts';

const { quote, collateral, root } = makeWorld();
const ascii = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));
const hex = Buffer.from(quote).toString('hex');

/** `ok`, or `CODE at place`; what is none of ours escapes as an exception. */
async function outcomeOf(evidenceBytes: Uint8Array, alone = false): Promise<string> {
  const { ok, refusal } = await verifyEvidenceFile({
    evidenceBytes,
    ...(alone ? {} : { collateral: ascii(JSON.stringify(collateral)) }),
    at: now,
    roots: [root.trustRoot],
  });
  return ok ? 'ok' : `${refusal?.code} at ${refusal?.place}`;
}

describe('an evidence file', () => {
  test.each([
    ['a quote in binary', quote, 'ok'],
    ['a quote in hexadecimal', ascii(hex), 'ok'],
    ['a quote in hexadecimal behind blanks', ascii(` \n0x${hex}\n`), 'ok'],
    ['hexadecimal of odd length', ascii(`${hex}0`), 'MALFORMED_EVIDENCE at evidence'],
    ['text that is no hexadecimal', ascii('quote!'), 'MALFORMED_EVIDENCE at evidence'],
    ['a Nitro document of more than 32 kB', new Uint8Array(32 * 1024 + 1).fill(0x84, 0, 1), 'TOO_LARGE at evidence'],
    ['a file of 128 kB and more', new Uint8Array(2 * 64 * 1024 + 5), 'TOO_LARGE at evidence'],
    ['a binary quote of more than 64 kB', new Uint8Array(2 * 64 * 1024 + 4), 'TOO_LARGE at evidence.quote'],
  ])('%s', async (_, bytes, expected) => {
    expect(await outcomeOf(bytes)).toBe(expected);
  });

  test('a document behind blanks', async () => {
    const document = Buffer.from(serialiseEvidence(evidenceDocument(quote, collateral))).toString('latin1');
    expect(await outcomeOf(ascii(` \n${document}`), true)).toBe('ok');
  });
});

test('collateral is verified once, and read from memory then', async () => {
  const verifier = new EvidenceVerifier({ roots: [root.trustRoot] });
  const verified = async (): Promise<CheckNode | undefined> => {
    const checks = new CheckList();
    await verifier.verify(evidenceDocument(quote, collateral), now, checks);
    return checks.nodes.find(({ id }) => id === 'collateral');
  };
  expect((await verified())?.children.length).toBeGreaterThan(5);
  expect(await verified()).toMatchObject({ detail: expect.stringContaining('verified before'), children: [] });
});
