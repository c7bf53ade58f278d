import { type Bytes32, maxStateAnswerBytes } from '@cloister/core';
import { addressOf, fromHex, generateSecp256k1, signDigest, toHex } from '@cloister/crypto';
import { StateCommittee } from '@cloister/state';
import { describe, expect, test } from 'vitest';
import { code, signal, subject } from './helpers.ts';

const secret = generateSecp256k1();
const me = { signer: addressOf(secret), sign: (digest: Bytes32) => toHex(signDigest(secret, fromHex(digest))) };
const members = [1, 2, 3, 4].map((at) => ({ signer: `0x${`0${at}`.repeat(20)}` as const, endpoint: `http://m${at}` }));

function committeeOf(fetch: (url: URL, init: RequestInit) => Promise<Response>, count = 4): StateCommittee {
  return new StateCommittee(
    {
      generation: async () => ({ number: 1n, threshold: 3, members: members.slice(0, count) }),
      now: async () => ({ epoch: 1n, block: 2n }),
      me,
      fetch: (input, init) => fetch(new URL(String(input)), init ?? {}),
    },
    { domain: { chainId: 1, registry: `0x${'11'.repeat(20)}` }, beaconKey: new Uint8Array(48), timeoutMs: 200 },
  );
}

const take = (fetch: (url: URL, init: RequestInit) => Promise<Response>, count?: number) =>
  committeeOf(fetch, count).take(subject, signal);
const refusal = (name: string, status = 403) => Response.json({ code: name, message: `By rule ${name}` }, { status });

describe('members that are of no use', () => {
  test.each<[string, () => Promise<Response>]>([
    ['that are away', () => Promise.reject(new TypeError('fetch failed'))],
    ['that hang', () => new Promise(() => {})],
    ['that say nothing', async () => new Response('')],
    ['that say no JSON', async () => new Response('{')],
    ['that say too much', async () => Response.json({ fence: '1', more: 'x'.repeat(maxStateAnswerBytes) })],
    ['that say something else', async () => Response.json({ generation: '1', index: 1 })],
    ['that refuse without a reason', async () => new Response('null', { status: 403 })],
    ['that refuse with what is no code', async () => refusal('<script>')],
    [
      'that speak for nobody',
      async () => Response.json({ generation: '1', certified: null, signature: `0x${'ff'.repeat(65)}` }),
    ],
  ])('%s make it unavailable', async (_, answer) => {
    await expect(take(answer)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
  });

  test('of whom there are none make it unavailable', async () => {
    await expect(take(() => Promise.reject(new Error('nobody asks')), 0)).rejects.toThrow(
      code('STATE_HEAD_UNAVAILABLE'),
    );
  });
});

describe('what members refuse by', () => {
  const refusing = (codes: readonly string[]) => async (url: URL, init: RequestInit) =>
    init.body === undefined ? refusal('NOT_FOUND', 404) : refusal(codes[Number(url.hostname.slice(1)) - 1] as string);

  test.each<[string, readonly string[]]>([
    ['STATE_REFUSED', ['KEY_WORKER_NOT_PLACED', 'KEY_WORKER_NOT_PLACED', 'KEY_NO_SHARES', 'KEY_WORKER_NOT_PLACED']],
    // Two that answer otherwise could still make it with others that come back.
    ['STATE_HEAD_UNAVAILABLE', ['KEY_WORKER_NOT_PLACED', 'STATE_RECOVERING', 'CHAIN_SPLIT', 'STATE_NO_SHARES']],
    ['STATE_HELD', ['STATE_HELD', 'STATE_HELD', 'STATE_HELD', 'STATE_RECOVERING']],
    ['STATE_FENCED', ['STATE_HELD', 'STATE_FENCED', 'STATE_HELD', 'STATE_HELD']],
    ['STATE_FENCED', ['STATE_HELD', 'STATE_FENCE_TOO_FAR', 'STATE_HELD', 'STATE_HELD']],
  ])('%s', async (expected, codes) => {
    await expect(take(refusing(codes))).rejects.toThrow(code(expected));
  });
});

test('a fence is asked for above those of a threshold of members, and higher each time that others have raised it', async () => {
  const asked: string[] = [];
  const fences = ['7', '9', '9000000000000000000', '8'];
  let hanging = 3;
  const fetch = async (url: URL, init: RequestInit): Promise<Response> => {
    const at = Number(url.hostname.slice(1)) - 1;
    // The first time the highest number is among the first three that come.
    if (init.body === undefined && at === hanging) {
      hanging = -1;
      return new Promise(() => {});
    }
    if (init.body === undefined) return Response.json({ fence: fences[at] });
    const { fence } = JSON.parse(String(init.body)) as { fence: string };
    if (at === 0) asked.push(fence);
    return refusal('STATE_FENCED');
  };
  await expect(take(fetch)).rejects.toThrow(code('STATE_FENCED'));
  expect(asked).toEqual(['9000000000000000001', '11', '12', '13']);
});

test.each(['9223372036854775808', '18446744073709551615', '-1', '1e3', ''])(
  'no member is asked for a fence above "%s"',
  async (named) => {
    const asked: string[] = [];
    const fetch = async (url: URL, init: RequestInit): Promise<Response> => {
      if (init.body === undefined) return Response.json({ fence: url.hostname === 'm1' ? named : '3' });
      asked.push((JSON.parse(String(init.body)) as { fence: string }).fence);
      return refusal('STATE_RECOVERING', 503);
    };
    await expect(take(fetch)).rejects.toThrow(code('STATE_HEAD_UNAVAILABLE'));
    expect(new Set(asked)).toEqual(new Set(['4']));
  },
);

test('whoever gives it up is let go at once', async () => {
  const giveUp = new AbortController();
  const waiting = committeeOf(() => new Promise(() => {})).take(subject, giveUp.signal);
  giveUp.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow();
});
