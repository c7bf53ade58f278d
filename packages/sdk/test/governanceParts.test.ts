import {
  emissionAbi,
  gatekeeperCommitteeAbi,
  imageRegistryAbi,
  storageRentAbi,
  timelockControllerAbi,
  timelockRoles,
} from '@cloister/chain';
import type { Address, Hex } from '@cloister/core';
import { encodeFunctionData } from 'viem';
import { describe, expect, test } from 'vitest';
import {
  castAll,
  castParts,
  maxStakesOfVote,
  packStakes,
  votesLeft,
  type WeighedStake,
} from '../src/governance/ballots.ts';
import { effectOf, type Fork, plainText, readCall, readProposalFile, showCall } from '../src/index.ts';

const addr = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const word: Hex = `0x${'ab'.repeat(32)}`;
const contracts = [
  { name: 'imageRegistry', address: addr(1), abi: imageRegistryAbi },
  { name: 'emission', address: addr(2), abi: emissionAbi },
  { name: 'timelock', address: addr(3), abi: timelockControllerAbi },
  { name: 'gatekeeperCommittee', address: addr(4), abi: gatekeeperCommitteeAbi },
  { name: 'storageRent', address: addr(5), abi: storageRentAbi },
];
const read = (text: string) => readCall(text, contracts);

describe('a call in words', () => {
  test('is what the ABI makes of it, and back', () => {
    const policy = { verifier: addr(9), leaseDuration: 60, acceptedTcbStatuses: 3, minimumTcbEvaluationDataNumber: 7 };
    const cases: readonly (readonly [string, Address, Hex])[] = [
      [
        `imageRegistry.allow(${word}, 0, 18446744073709551615, "a, \\"b\\" (c)", {hash: ${word}, uri: "ipfs://x"})`,
        addr(1),
        encodeFunctionData({
          abi: imageRegistryAbi,
          functionName: 'allow',
          args: [word, 0n, 2n ** 64n - 1n, 'a, "b" (c)', { hash: word, uri: 'ipfs://x' }],
        }),
      ],
      [
        `gatekeeperCommittee.setTeePolicy(1, {verifier: ${addr(9)}, leaseDuration: 60, acceptedTcbStatuses: 3, minimumTcbEvaluationDataNumber: 7})`,
        addr(4),
        encodeFunctionData({ abi: gatekeeperCommitteeAbi, functionName: 'setTeePolicy', args: [1, policy] }),
      ],
      [
        `gatekeeperCommittee.setEligible(timelock, true)`,
        addr(4),
        encodeFunctionData({ abi: gatekeeperCommitteeAbi, functionName: 'setEligible', args: [addr(3), true] }),
      ],
      [
        `timelock.grantRole(PROPOSER_ROLE, ${addr(8)})`,
        addr(3),
        encodeFunctionData({
          abi: timelockControllerAbi,
          functionName: 'grantRole',
          args: [timelockRoles.PROPOSER_ROLE, addr(8)],
        }),
      ],
      [
        `timelock.executeBatch([emission, ${addr(9)}], [0, 1], [0x, 0x12], ${word}, ${word})`,
        addr(3),
        encodeFunctionData({
          abi: timelockControllerAbi,
          functionName: 'executeBatch',
          args: [[addr(2), addr(9)], [0n, 1n], ['0x', '0x12'], word, word],
        }),
      ],
    ];
    for (const [text, target, data] of cases) {
      expect(read(text)).toEqual({ target, value: 0n, data });
      expect(showCall({ target, value: 0n, data }, contracts).text).toBe(text);
      if (!text.includes('"')) expect(read(text.replaceAll(/[,[\]]/g, ' $& '))).toEqual({ target, value: 0n, data });
    }
    expect(read('Emission.setSplit(5, [timelock, 1, timelock, 2])')).toEqual(
      read('emission.setSplit(5, {treasury: timelock, treasuryBps: 1, gatekeepers: timelock, gatekeepersBps: 2})'),
    );
    expect(read('storageRent.setPrice(0x10)')).toEqual(read('storageRent.setPrice(16)'));
  });

  test.each([
    ['GOVERN_CALL_MALFORMED', 'storageRent.setPrice'],
    ['GOVERN_CALL_MALFORMED', 'storageRent.setPrice(1,)'],
    ['GOVERN_CALL_MALFORMED', 'storageRent.setPrice([1)'],
    ['GOVERN_CALL_MALFORMED', 'storageRent.setPrice({a 1})'],
    ['GOVERN_CALL_MALFORMED', 'storageRent.setPrice(1 2)'],
    ['GOVERN_CALL_MALFORMED', 'storageRent.setPrice("1)'],
    ['GOVERN_CALL_MALFORMED', `storageRent.setPrice(${'['.repeat(20)}1${']'.repeat(20)})`],
    ['GOVERN_CALL_MALFORMED', `storageRent.setPrice(${' '.repeat(70_000)}1)`],
    ['GOVERN_CONTRACT_UNKNOWN', 'rent.setPrice(1)'],
    ['GOVERN_FUNCTION_UNKNOWN', 'storageRent.price()'],
    ['GOVERN_FUNCTION_UNKNOWN', 'storageRent.setPrices(1)'],
    ['GOVERN_ARGUMENTS', 'storageRent.setPrice()'],
    ['GOVERN_ARGUMENTS', 'storageRent.setPrice(1, 2)'],
    ['GOVERN_ARGUMENTS', 'storageRent.setPrice(-1)'],
    ['GOVERN_ARGUMENTS', 'storageRent.setPrice(1.5)'],
    ['GOVERN_ARGUMENTS', `storageRent.setPrice(${2n ** 256n})`],
    ['GOVERN_ARGUMENTS', 'storageRent.setPrice([1])'],
    ['GOVERN_ARGUMENTS', 'gatekeeperCommittee.setEligible(timelock, yes)'],
    ['GOVERN_ARGUMENTS', 'gatekeeperCommittee.setEligible(0x1234, true)'],
    ['GOVERN_ARGUMENTS', 'imageRegistry.allowConfig(0x12)'],
    ['GOVERN_ARGUMENTS', 'emission.setSplit(5, {treasury: timelock})'],
    ['GOVERN_ARGUMENTS', 'emission.setSplit(5, {treasury: timelock, treasuryBps: 1, gatekeepers: timelock, other: 2})'],
  ])('%s: %s', (code, text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code }));
  });

  test('that nobody knows is shown by its bytes', () => {
    const call = { target: addr(0xee), value: 5n, data: '0x12345678' } as const;
    expect(showCall(call, contracts)).toEqual({
      ...call,
      contract: null,
      functionName: null,
      args: [],
      text: `${addr(0xee)}: 0x12345678 with 5 wei`,
    });
    const odd = { ...call, target: addr(5), value: 0n };
    expect(showCall(odd, contracts)).toMatchObject({ contract: 'storageRent', functionName: null });
  });

  test('carries no text that a terminal would act on', () => {
    expect(plainText('a\u001b[2J\u202eb\u0007\nc\u200bd\u2028')).toBe('a\\u001b[2J\\u202eb\\u0007\nc\\u200bd\\u2028');
    const data = encodeFunctionData({
      abi: imageRegistryAbi,
      functionName: 'allow',
      args: [word, 0n, 1n, '\u001b\u202e', { hash: word, uri: '' }],
    });
    expect(showCall({ target: addr(1), value: 0n, data }, contracts).text).toContain('"\\\\u001b\\\\u202e"');
  });

  test('stands in a file beside calls by their bytes', () => {
    const calls = ['storageRent.setPrice(1)', { target: addr(5), data: '0x12', value: '7' }];
    expect(readProposalFile({ title: 'T', description: 'D', calls }, contracts)).toEqual({
      calls: [read('storageRent.setPrice(1)'), { target: addr(5), data: '0x12', value: 7n }],
      description: '# T\n\nD',
    });
    const alone = { calls: [read('storageRent.setPrice(1)'), { target: addr(5), data: '0x12', value: 7n }] };
    expect(readProposalFile(calls, contracts)).toEqual(alone);
    const malformed = [{ title: 'T', calls: [] }, { calls }, { title: 'T', calls: [{ target: '0x1', data: '0x' }] }];
    for (const wrong of [...malformed, [], [{ target: '0x1', data: '0x' }]])
      expect(() => readProposalFile(wrong, contracts)).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }));
  });
});

describe('a ballot', () => {
  const stake = (index: number, worth: bigint): WeighedStake => ({
    account: addr(7),
    pool: `0x${index.toString(16).padStart(40, '0')}`,
    worth,
  });
  const many = Array.from({ length: 150 }, (_, index) => stake(index + 1, BigInt(index + 1)));
  const all = many.reduce((sum, { worth }) => sum + worth, 0n);
  const named = (params: Hex, amounts = 0) => (params.length - 2) / 2 / 40 - amounts / 40;

  test('names all stakes in as many casts as it takes, and PHA once', () => {
    const ballot = { own: 1_000n, opened: false, left: 0n, stakes: many };
    const casts = castAll(ballot, 'against');
    expect(casts.map(({ params }) => named(params))).toEqual([64, 64, 22]);
    expect(casts.reduce((sum, { votes }) => sum + votes, 0n)).toBe(all + 1_000n);
    expect(votesLeft(ballot)).toBe(all + 1_000n);
    expect(casts.every(({ support }) => support === 0)).toBe(true);
    expect(castAll({ ...ballot, opened: true, left: 5n, stakes: [] }, 'for')).toEqual([
      { support: 1, params: '0x', votes: 5n },
    ]);
    expect(maxStakesOfVote).toBe(64);
  });

  test('is cast in parts that add up, naming no more than they need', () => {
    const ballot = { own: 10n, opened: false, left: 0n, stakes: many };
    const parts = { against: 4_000n, for: 6_900n, abstain: 100n };
    const casts = castParts(ballot, parts);
    const amount = (params: Hex, index: number) => BigInt(`0x${params.slice(2 + index * 32, 34 + index * 32)}`);
    for (const [index, side] of (['against', 'for', 'abstain'] as const).entries())
      expect(casts.reduce((sum, { params }) => sum + amount(params, index), 0n)).toBe(parts[side]);
    expect(casts.map(({ support, params }) => [support, named(params, 48)])).toEqual([
      [255, 64],
      [255, 64],
    ]);
    expect(castParts(ballot, { against: 0n, for: 5n, abstain: 0n })).toHaveLength(1);
    const whole = castParts(ballot, { against: 0n, for: all + 10n, abstain: 0n });
    expect(whole.map(({ votes }) => votes).reduce((sum, votes) => sum + votes)).toBe(all + 10n);
  });

  test('packs pairs ascending', () => {
    const stakes = [
      { account: addr(2), pool: addr(1) },
      { account: addr(1), pool: addr(9) },
      { account: addr(1), pool: addr(3) },
    ];
    const [a, b, c] = [
      addr(1) + addr(3).slice(2),
      addr(1).slice(2) + addr(9).slice(2),
      addr(2).slice(2) + addr(1).slice(2),
    ];
    expect(packStakes(stakes)).toBe(a + b + c);
  });
});

describe('an effect', () => {
  const call = read('storageRent.setPrice(9)');
  const holders = { PROPOSER_ROLE: [addr(6)], CANCELLER_ROLE: [], EXECUTOR_ROLE: [], DEFAULT_ADMIN_ROLE: [] };
  const subject = { calls: [call], contracts, holders, timelock: addr(3), phaToken: addr(0xa) };
  /** Any fork will do: the reads are answered by what they ask for. */
  const fork =
    (ok: boolean): Fork =>
    async (calls, reads) => ({
      calls: calls.map(() =>
        ok
          ? { ok, logs: [{ address: addr(0xcc), topics: [word], data: '0x01' }] }
          : { ok, refusal: { errorName: 'No', args: ['1'] } },
      ),
      reads: reads.map(({ to, data }): Hex | undefined => {
        const price = encodeFunctionData({ abi: storageRentAbi, functionName: 'price', args: [] });
        if (to === addr(5) && data === price) return `0x${(calls.length === 0 ? '01' : '09').padStart(64, '0')}`;
        if (to === addr(5) && data.length === 10) return undefined;
        return `0x${'0'.repeat(64)}`;
      }),
    });

  test('is the difference of two questions to any fork', async () => {
    expect(await effectOf(fork(true), subject)).toMatchObject({
      ok: true,
      calls: [{ refusal: null, withoutCode: true, events: [{ of: addr(0xcc), text: `${word} 0x01` }] }],
      changes: [
        {
          kind: 'parameter',
          of: 'storageRent',
          what: 'price',
          before: 1n,
          after: 9n,
          text: { before: '1', after: '9' },
        },
      ],
    });
  });

  test('is none where a call is refused', async () => {
    expect(await effectOf(fork(false), subject)).toMatchObject({
      ok: false,
      calls: [{ refusal: { errorName: 'No', args: ['1'] }, events: [] }],
      changes: [],
    });
  });
});
