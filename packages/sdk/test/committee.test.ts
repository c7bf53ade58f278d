import type { RegistryReader } from '@cloister/chain';
import { type Address, beaconMessage, beaconRandomness, type NetworkFile } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { publicShareAt } from '@cloister/threshold/dkg';
import { signWithShare } from '@cloister/threshold/native';
import { beforeEach, describe, expect, test } from 'vitest';
import { makeKey } from '../../threshold/test/keyCeremony.ts';
import { Committee } from '../src/committee.ts';
import { address, bytes32 } from './simulatedNetwork.ts';

const domain = { chainId: 31337, registry: address(0x11) };
/** Of one member, whose share is the key. */
const key = makeKey(1, 1);
const signatureOf = (round: bigint) =>
  toHex(signWithShare(key.shares[0] as never, fromHex(beaconMessage(domain, round))));
const operators: readonly Address[] = [address(1), address(2)];

let keys: NetworkFile['networkKeys'];
let answers: Record<string, (url: string) => Response | Promise<Response>>;
let asked: string[];

beforeEach(() => {
  keys = { apps: `0x${'00'.repeat(48)}`, beacon: toHex(publicShareAt(key.commitments, 0)) };
  answers = {};
  asked = [];
});

/** A committee of two, as the chain names them; what each answers is up to the test. */
function committee(founded = true): Committee {
  const list = [operators, operators.map((_, index) => address(0x40 + index)), operators.map(() => bytes32(9))];
  const none = [[], [], []];
  const reads: Record<string, unknown> = {
    generation: {
      number: founded ? 1n : 0n,
      since: 1n,
      threshold: founded ? 1 : 0,
      digest: bytes32(1),
      publicSharesHash: bytes32(2),
    },
    members: founded ? list : none,
    nextMembers: [...list, 1, 2n],
    appsPublicKey: founded ? keys?.apps : '0x',
    beaconPublicKey: founded ? keys?.beacon : '0x',
    diversityWaived: true,
  };
  const view = {
    latest: undefined,
    head: async () => ({ number: 5n, hash: bytes32(5), timestamp: 1_050n }),
    read: async ({ functionName }: { functionName: string }) => reads[functionName],
    events: async ({ args }: { args: { signer: Address } }) => [{ endpoint: `http://member-${args.signer.slice(-2)}` }],
  };
  const clock = { genesis: 1_000n, epochLength: 100n, roundLength: 10n };
  return new Committee({
    network: {
      chainId: domain.chainId,
      contracts: { workerRegistry: domain.registry, gatekeeperCommittee: address(0x22) },
      networkKeys: keys,
    } as unknown as NetworkFile,
    registry: { view, clock: async () => clock } as unknown as RegistryReader,
    fetch: (async (input: string | URL | Request) => {
      const url = new URL(String(input));
      asked.push(url.href);
      const answer = answers[url.hostname];
      if (answer === undefined) throw new Error('connection refused');
      return answer(url.pathname);
    }) as typeof fetch,
  });
}

describe('a round’s randomness', () => {
  test('is the hash of a signature that verifies under the network file’s key; default: the newest round', async () => {
    answers['member-40'] = () => Response.json({ signature: signatureOf(5n) });
    expect(await committee().beacon()).toEqual({
      round: 5n,
      signature: signatureOf(5n),
      randomness: beaconRandomness(signatureOf(5n)),
    });
    expect(asked).toEqual(['http://member-40/v1/beacon/5']);
  });

  test.each<[string, () => Response]>([
    ['another round’s signature', () => Response.json({ signature: signatureOf(4n) })],
    ['no signature', () => Response.json({ signature: '0xzz' })],
    ['nothing of the kind', () => Response.json({})],
    ['null', () => Response.json(null)],
    ['too much', () => new Response('"'.padEnd(100_000, 'x'))],
    ['a refusal', () => Response.json({ message: 'Round "5" has not begun' }, { status: 503 })],
  ])('is not taken from a member that gives %s, but from the next', async (_, lie) => {
    answers['member-40'] = lie;
    answers['member-41'] = () => Response.json({ signature: signatureOf(5n) });
    expect((await committee().beacon(5n)).signature).toBe(signatureOf(5n));
    answers['member-41'] = lie;
    const refused = await committee()
      .beacon(5n)
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'BEACON_UNAVAILABLE', retry: true });
    for (const operator of operators) expect(String(refused)).toContain(operator);
  });

  test('is waited for while members do not know yet that the round has begun', async () => {
    let early = 2;
    answers['member-41'] = () => Response.json({ code: 'INTERNAL', message: 'broken' }, { status: 500 });
    answers['member-40'] = () =>
      early-- > 0
        ? Response.json({ code: 'BEACON_ROUND_AHEAD', message: 'Round "5" has not begun' }, { status: 503 })
        : Response.json({ signature: signatureOf(5n) });
    expect((await committee().beacon(5n)).signature).toBe(signatureOf(5n));
    expect(asked).toHaveLength(5);
  });

  test('is the network file’s, whatever keys the chain names', async () => {
    const other = makeKey(1, 1);
    answers['member-40'] = () =>
      Response.json({
        signature: toHex(signWithShare(other.shares[0] as never, fromHex(beaconMessage(domain, 5n)))),
      });
    await expect(committee().beacon(5n)).rejects.toMatchObject({ code: 'BEACON_UNAVAILABLE' });
  });

  test('is none where the network has no committee', async () => {
    keys = null;
    await expect(committee().beacon(5n)).rejects.toMatchObject({ code: 'BEACON_ABSENT', retry: false });
    expect(asked).toEqual([]);
  });

  test('is not waited for after the caller has gone', async () => {
    await expect(committee().beacon(5n, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  });
});

describe('the committee', () => {
  test('as the chain has it, and as its members say', async () => {
    answers['member-40'] = () => Response.json({ holdsShares: true });
    const found = committee();
    const status = await found.status();
    expect(status).toMatchObject({ isDiversityWaived: true, generation: { number: 1n, threshold: 1 } });
    expect(await found.reports(status)).toEqual([
      { operator: operators[0], endpoint: 'http://member-40', reachable: true, holdsShares: true },
      {
        operator: operators[1],
        endpoint: 'http://member-41',
        reachable: false,
        holdsShares: false,
        reason: expect.stringContaining('connection refused'),
      },
    ]);
  });

  test('before its founding is its founders, without keys', async () => {
    const found = committee(false);
    const status = await found.status();
    expect(status.keys).toBeUndefined();
    expect((await found.reports(status)).map(({ operator }) => operator)).toEqual(operators);
  });
});
