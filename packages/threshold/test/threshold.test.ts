import { SecretBytes, utf8 } from '@cloister/crypto';
import { bls12_381_Fr as Fr } from '@noble/curves/bls12-381.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combinePartials, combineVerified, type Partial, verifySignature } from '../src/combine/index.ts';
import { assertThreshold, combineShares, deal, parseCommitments, publicShareAt, shareFits } from '../src/dkg/index.ts';
import {
  publicOf,
  signWithShare,
  uncompressG1Native,
  uncompressG2Native,
  verifySignatureNative,
} from '../src/native/index.ts';
import { lagrangeWeights } from '../src/shared/lagrange.ts';
import { choices, makeKey, reshare, type Sharing } from './keyCeremony.ts';

const message = utf8('cloister test message');
const shareOf = (sharing: Sharing, index: number): SecretBytes => sharing.shares[index - 1] as SecretBytes;
const publicKeyOf = (sharing: Sharing): Uint8Array => publicShareAt(sharing.commitments, 0);
const partials = (sharing: Sharing, indices: readonly number[]): Partial[] =>
  indices.map((index) => ({ index, signature: signWithShare(shareOf(sharing, index), message) }));

describe('a key made by several', () => {
  const sharing = makeKey(3, 4);

  test('any threshold of members makes the one signature of the public key', () => {
    const signatures = choices(4, 3).map((indices) => combinePartials(partials(sharing, indices)));
    expect(new Set(signatures.map((signature) => Buffer.from(signature).toString('hex'))).size).toBe(1);
    expect(verifySignature(publicKeyOf(sharing), message, signatures[0] as Uint8Array)).toBe(true);
    expect(verifySignatureNative(publicKeyOf(sharing), message, signatures[0] as Uint8Array)).toBe(true);
  });

  test('read by native code is the same, point by point, and what is no point is none', () => {
    const all = partials(sharing, [1, 2, 3, 4]);
    const init = { message, publicKey: publicKeyOf(sharing), threshold: 3, verify: verifySignatureNative };
    const slow = combineVerified(all, init);
    expect(combineVerified(all, { ...init, uncompress: uncompressG2Native })).toEqual(slow);
    // x = 0 … 7 with a root: on the curve, outside the subgroup of prime order.
    const outside = Array.from({ length: 8 }, (_, x) => {
      const bytes = new Uint8Array(96);
      bytes[0] = 0x80;
      bytes[95] = x;
      return bytes;
    });
    const identity = Uint8Array.from([0xc0, ...new Array(95).fill(0)]);
    for (const signature of [...outside, identity, new Uint8Array(96), new Uint8Array(95), new Uint8Array(192)]) {
      expect(uncompressG2Native(signature)).toBeUndefined();
      const mixed = [{ index: 1, signature }, ...all.slice(1)];
      for (const uncompress of [undefined, uncompressG2Native])
        expect(combineVerified(mixed, { ...init, ...(uncompress && { uncompress }) })).toEqual({ ...slow, wrong: [1] });
    }
    for (const bytes of [new Uint8Array(48), Uint8Array.from([0xc0, ...new Array(47).fill(0)]), new Uint8Array(96)])
      expect(uncompressG1Native(bytes)).toBeUndefined();
    expect(() => parseCommitments([new Uint8Array(48)], 1)).toThrow(
      expect.objectContaining({ code: 'DEALING_INVALID' }),
    );
  });

  test('one member fewer makes another point, and so does another message', () => {
    for (const indices of choices(4, 2)) {
      const signature = combinePartials(partials(sharing, indices));
      expect(verifySignature(publicKeyOf(sharing), message, signature)).toBe(false);
    }
    const signature = combinePartials(partials(sharing, [1, 2, 3]));
    expect(verifySignature(publicKeyOf(sharing), utf8('another'), signature)).toBe(false);
  });

  test('every share fits the commitments at its own place alone', () => {
    for (const [left, right] of [1, 2, 3, 4].flatMap((a) => [1, 2, 3, 4].map((b) => [a, b] as const)))
      expect(shareFits(sharing.commitments, left, shareOf(sharing, right))).toBe(left === right);
    expect(publicShareAt(sharing.commitments, 2)).toEqual(publicOf(shareOf(sharing, 2)));
  });

  test('the whole secret, put together here alone, signs as the committee does', () => {
    const whole = combineShares(
      [1, 3, 4].map((index) => shareOf(sharing, index)),
      lagrangeWeights([1, 3, 4]),
    );
    expect(publicOf(whole)).toEqual(publicKeyOf(sharing));
    expect(signWithShare(whole, message)).toEqual(combinePartials(partials(sharing, [1, 2, 3])));
  });
});

describe.each([
  [4, 3],
  [7, 5],
  [16, 11],
])('%i members, threshold %i', (count, threshold) => {
  test('a key is made, moved to other members by any threshold of the old ones, and stays the same', () => {
    const first = makeKey(threshold, count);
    const dealers = Array.from({ length: threshold }, (_, position) => count - position).reverse();
    const second = reshare(first, dealers, threshold, count);
    expect(publicKeyOf(second)).toEqual(publicKeyOf(first));
    const indices = Array.from({ length: threshold }, (_, position) => position + 1);
    expect(combinePartials(partials(second, indices))).toEqual(combinePartials(partials(first, indices)));
    for (const index of indices) expect(shareOf(second, index).equals(shareOf(first, index))).toBe(false);
  });
});

describe('resharing', () => {
  const first = makeKey(3, 4);

  test('to another number of members and another threshold', () => {
    const wider = reshare(first, [1, 2, 4], 5, 7);
    expect(publicKeyOf(wider)).toEqual(publicKeyOf(first));
    expect(combinePartials(partials(wider, [2, 3, 5, 6, 7]))).toEqual(combinePartials(partials(first, [1, 2, 3])));
    const narrower = reshare(wider, [1, 2, 3, 4, 5, 6, 7], 2, 3);
    expect(combinePartials(partials(narrower, [1, 3]))).toEqual(combinePartials(partials(first, [1, 2, 3])));
  });

  test('shares of two generations do not mix', () => {
    const second = reshare(first, [1, 2, 3, 4], 3, 4);
    const mixed = [...partials(first, [1, 2]), ...partials(second, [3])];
    expect(verifySignature(publicKeyOf(first), message, combinePartials(mixed))).toBe(false);
    const four = [...partials(first, [1, 2]), ...partials(second, [3, 4])];
    for (const three of choices(4, 3))
      expect(
        verifySignature(publicKeyOf(first), message, combinePartials(three.map((index) => four[index - 1] as Partial))),
      ).toBe(false);
  });

  test('fewer old dealers than the threshold make another key', () => {
    const short = reshare(first, [1, 2], 3, 4);
    expect(publicKeyOf(short)).not.toEqual(publicKeyOf(first));
  });

  test('a dealer that deals something else than its share is noticed', () => {
    const other = deal({ threshold: 3, count: 4 });
    expect(() => parseCommitments(other.commitments, 3, publicShareAt(first.commitments, 1))).toThrow(
      expect.objectContaining({ code: 'DEALING_INVALID' }),
    );
  });
});

describe('fewer shares than the threshold fit every secret', () => {
  test('for any two shares of three and any secret there is a polynomial through them', () => {
    const sharing = makeKey(3, 4);
    fc.assert(
      fc.property(fc.bigInt(1n, Fr.ORDER - 1n), fc.constantFrom(...choices(4, 2)), (secret, [left, right]) => {
        // The third point that this secret would ask for: a share like any other, so the two rule no secret out.
        const [a, b] = [left as number, right as number];
        const third = [1, 2, 3, 4].find((index) => index !== a && index !== b) as number;
        const value = (index: number) => Fr.fromBytes(shareOf(sharing, index).reveal());
        const weights = lagrangeWeights([a, b, third]);
        const known = Fr.add(Fr.mul(weights[0] as bigint, value(a)), Fr.mul(weights[1] as bigint, value(b)));
        const needed = Fr.div(Fr.sub(secret, known), weights[2] as bigint);
        const whole = combineShares(
          [shareOf(sharing, a), shareOf(sharing, b), new SecretBytes(Fr.toBytes(needed))],
          weights,
        );
        expect(Fr.fromBytes(whole.reveal())).toBe(secret);
      }),
      { numRuns: 50 },
    );
  });
});

describe('wrong partials', () => {
  const sharing = makeKey(3, 5);
  const init = {
    message,
    publicKey: publicKeyOf(sharing),
    threshold: 3,
    publicShareOf: (index: number) => publicShareAt(sharing.commitments, index),
    verify: verifySignatureNative,
  };
  const wrong = (index: number): Partial => ({
    index,
    signature: signWithShare(shareOf(sharing, index), utf8('else')),
  });

  test('are named and left out while enough good ones are there', () => {
    const given = [wrong(1), ...partials(sharing, [2, 3]), wrong(4), ...partials(sharing, [5])];
    const { signature, wrong: named } = combineVerified(given, init);
    expect(verifySignature(init.publicKey, message, signature)).toBe(true);
    expect(named).toEqual([1, 4]);
  });

  test('that are no points are named and never disturb', () => {
    const broken = { index: 1, signature: new Uint8Array(96) };
    const { wrong: named } = combineVerified([broken, ...partials(sharing, [2, 3, 4])], init);
    expect(named).toEqual([1]);
  });

  test('leave nothing when too few good ones remain, or their makers are not known', () => {
    const given = [wrong(1), ...partials(sharing, [2, 3])];
    expect(() => combineVerified(given, init)).toThrow(
      expect.objectContaining({ code: 'COMBINATION_INVALID', meta: expect.objectContaining({ wrong: [1] }) }),
    );
    const { publicShareOf: _unknown, ...blind } = init;
    expect(() => combineVerified([...given, ...partials(sharing, [4])], blind)).toThrow(
      expect.objectContaining({ code: 'COMBINATION_INVALID' }),
    );
    expect(() => combineVerified(partials(sharing, [1, 2]), init)).toThrow(
      expect.objectContaining({ code: 'COMBINATION_INVALID' }),
    );
  });

  test('of one member twice are refused', () => {
    expect(() => combinePartials([...partials(sharing, [1, 2]), ...partials(sharing, [2])])).toThrow(
      expect.objectContaining({ code: 'INDEX_INVALID' }),
    );
    expect(() => combinePartials([])).toThrow(expect.objectContaining({ code: 'THRESHOLD_INVALID' }));
  });
});

test.each([
  [0, 1],
  [2, 4],
  [5, 4],
  [17, 33],
  [1.5, 2],
])('threshold %d of %d is refused', (threshold, count) => {
  expect(() => assertThreshold(threshold, count)).toThrow(expect.objectContaining({ code: 'THRESHOLD_INVALID' }));
});
