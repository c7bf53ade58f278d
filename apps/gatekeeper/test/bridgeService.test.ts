import type { BridgeArrival, sentStates } from '@cloister/chain';
import {
  type Address,
  type BridgeSide,
  type BridgeStatement,
  bridgeEnds,
  bridgeRoute,
  bridgeStatementDigest,
  bridgeStatementToJson,
  committeeProof,
  type Hex,
  type MirroredGeneration,
} from '@cloister/core';
import { fromHex, recoverAddress } from '@cloister/crypto';
import { createMetrics, silentLogger } from '@cloister/service';
import { beforeAll, describe, expect, test } from 'vitest';
import { addr, b32, link, network } from '../../../packages/core/test/helpers.ts';
import type { LinkFacts } from '../src/bridge/bridgeRules.ts';
import { BridgeService } from '../src/bridge/bridgeService.ts';
import { makePeople, type Person } from './ceremonyRoom.ts';

const linked = { ...network, bridges: [link] };
const signal = () => AbortSignal.timeout(5_000);

let people: Person[];
beforeAll(async () => {
  people = await makePeople(3);
});
const committee = (generation: bigint, threshold = 2): MirroredGeneration => ({
  generation,
  threshold,
  signers: people.map(({ signer }) => signer),
});

type World = {
  sent?: (typeof sentStates)[number];
  arrival?: BridgeArrival['state'];
  taken?: bigint;
  current?: MirroredGeneration;
  isPending?: boolean;
  generations?: readonly MirroredGeneration[];
  peerOf?: Partial<Record<BridgeSide, `0x${string}`>>;
  committeeOf?: Partial<Record<BridgeSide, `0x${string}`>>;
};

/** Two chains on which all is as it should be, but for what is given. */
function factsOf(world: World, asked: string[] = []): LinkFacts {
  const generations = world.generations ?? [committee(3n)];
  return {
    async wiring(side) {
      const { destination } = bridgeEnds(network, link, side);
      const asks = side === 'home' ? network.contracts.gatekeeperCommittee : link.remote.committee;
      return {
        peerChain: BigInt(destination.chainId),
        peerBridge: world.peerOf?.[side] ?? destination.bridge,
        committee: world.committeeOf?.[side] ?? asks,
      };
    },
    async sentState(side, id) {
      asked.push(`${side} ${id}`);
      return world.sent ?? 'sent';
    },
    arrival: async (side) => {
      asked.push(`arrival ${side}`);
      return { state: world.arrival ?? 'none', expiry: 0n, taken: world.taken ?? 0n };
    },
    mirror: async () => world.current ?? committee(1n),
    isHandoverPending: async () => world.isPending ?? false,
    counting: async () => generations.at(-1),
    generation: async (number) => [committee(1n), ...generations].find(({ generation }) => generation === number),
  };
}

const serviceOf = (me: Person, world: World, asked?: string[], clockMs = () => 0) =>
  new BridgeService({
    me,
    network: linked,
    facts: async () => factsOf(world, asked),
    answered: createMetrics().counter({ name: 'test_total', help: 'test' }),
    log: silentLogger,
    clockMs,
  });

function message(from: BridgeSide, statement: 'message' | 'void' = 'message'): BridgeStatement {
  const { source, destination } = bridgeEnds(network, link, from);
  const sender = addr(0xc1);
  return {
    statement,
    link: link.chainId,
    from,
    message: {
      route: bridgeRoute(source, sender, destination),
      number: 5n,
      expiry: 1_790_000_000n,
      sender,
      recipient: addr(0xc2),
      payloadHash: b32(0xc3),
    },
  };
}

const ask = (statement: BridgeStatement, world: World = {}, asked?: string[]) =>
  serviceOf(people[0] as Person, world, asked).answer(bridgeStatementToJson(statement), signal());
const refusal = async (statement: BridgeStatement, world: World = {}): Promise<unknown> =>
  ask(statement, world).then(
    () => undefined,
    (error: { code?: unknown }) => error.code,
  );

describe('a statement about another chain', () => {
  test.each(['home', 'remote'] as const)('is signed for a message that was sent from %s and is final', async (from) => {
    const asked: string[] = [];
    const statement = message(from);
    const digest = bridgeStatementDigest(network, link, statement);
    const { signer, signature } = await ask(statement, {}, asked);
    expect(recoverAddress(fromHex(digest), fromHex(signature as `0x${string}`))).toBe(signer);
    expect(asked).toEqual([`${from} ${digest}`]);
  });

  test('makes a proof with those of others, as contracts read it', async () => {
    const statement = message('home');
    const answers = await Promise.all(
      people.slice(1).map((one) => serviceOf(one, {}).answer(bridgeStatementToJson(statement), signal())),
    );
    const signatures = new Map(answers.map(({ signer, signature }) => [signer as Address, signature as Hex] as const));
    const proof = committeeProof(committee(1n).signers, 2, signatures);
    expect(proof?.slice(0, 10)).toBe('0x00000006');
  });

  test('is refused for what was not sent, or given back', async () => {
    expect(await refusal(message('home'), { sent: 'none' })).toBe('BRIDGE_NOT_SENT');
    expect(await refusal(message('home'), { sent: 'refunded' })).toBe('BRIDGE_REFUNDED');
    expect(await refusal({ ...message('home'), link: 1 } as BridgeStatement)).toBe('BRIDGE_LINK_UNKNOWN');
    const other = message('remote') as Extract<BridgeStatement, { from: BridgeSide }>;
    expect(await refusal({ ...other, from: 'home' })).toBe('BRIDGE_ROUTE_OTHER');
  });

  test('is signed for what is void at its destination, or whose number is another’s there', async () => {
    const asked: string[] = [];
    await ask(message('home', 'void'), { arrival: 'void', taken: 5n }, asked);
    expect(asked).toContain('arrival remote');
    await ask(message('remote', 'void'), { arrival: 'none', taken: 5n }, asked);
    expect(asked).toContain('arrival home');
    expect(await refusal(message('home', 'void'), { arrival: 'none', taken: 4n })).toBe('BRIDGE_NOT_VOID');
    for (const arrival of ['delivered', 'failed'] as const)
      expect(await refusal(message('home', 'void'), { arrival, taken: 9n })).toBe('BRIDGE_NOT_VOID');
    expect(await refusal(message('home', 'void'), { sent: 'none', arrival: 'void' })).toBe('BRIDGE_NOT_SENT');
  });

  test('is refused where other contracts stand there, whatever was sent', async () => {
    const worlds: World[] = [
      { peerOf: { home: addr(1) } },
      { peerOf: { remote: addr(1) } },
      { committeeOf: { home: addr(1) } },
      { committeeOf: { remote: addr(1) } },
    ];
    for (const world of worlds) expect(await refusal(message('home'), world)).toBe('BRIDGE_MISWIRED');
  });

  test('is refused while the other chain asks signers that this committee never had', async () => {
    const [, ...others] = committee(1n).signers;
    for (const current of [committee(9n), committee(1n, 3), { ...committee(1n), signers: [addr(9), ...others] }])
      for (const statement of [message('home'), message('remote'), message('home', 'void')])
        expect(await refusal(statement, { current, arrival: 'void' })).toBe('BRIDGE_MIRROR_UNKNOWN');
  });

  test('is signed again without a look, in bounded memory', async () => {
    const asked: string[] = [];
    const service = serviceOf(people[0] as Person, {}, asked);
    const json = bridgeStatementToJson(message('home'));
    expect(await service.answer(json, signal())).toEqual(await service.answer(json, signal()));
    expect(asked).toHaveLength(1);
  });

  test('comes at a rate', () => {
    let now = 0;
    const service = serviceOf(people[0] as Person, {}, [], () => now);
    for (let index = 0; index < 64; index++) service.admit('10.0.0.1');
    expect(() => service.admit('10.0.0.1')).toThrow(/wait 1 s/);
    service.admit('10.0.0.2');
    now = 125;
    service.admit('10.0.0.1');
  });
});

describe('a handover on another chain', () => {
  const handover = (next: MirroredGeneration): BridgeStatement => ({ statement: 'handover', link: link.chainId, next });
  const changed = () => ({ ...committee(4n), signers: committee(4n).signers.toReversed() });

  test('is signed for the generation that counts, where its signers are others', async () => {
    const next = changed();
    const digest = bridgeStatementDigest(network, link, handover(next));
    const { signature, signer } = await ask(handover(next), { generations: [next] });
    expect(recoverAddress(fromHex(digest), fromHex(signature as `0x${string}`))).toBe(signer);
  });

  test('is refused for any other, where it is needless, and while one is announced', async () => {
    const next = changed();
    const code = (given: MirroredGeneration, world: World) => refusal(handover(given), world);
    expect(await code(next, { generations: [committee(3n)] })).toBe('BRIDGE_GENERATION_OTHER');
    expect(await code({ ...next, threshold: 3 }, { generations: [next] })).toBe('BRIDGE_GENERATION_OTHER');
    expect(await code(committee(3n), {})).toBe('BRIDGE_HANDOVER_NEEDLESS');
    expect(await code(next, { generations: [next], isPending: true })).toBe('BRIDGE_HANDOVER_NEEDLESS');
    expect(await code(next, { generations: [next], current: committee(9n) })).toBe('BRIDGE_MIRROR_UNKNOWN');
  });

  test('is signed anew each time: what counts may change', async () => {
    const next = changed();
    const world: World = { generations: [next] };
    const service = serviceOf(people[0] as Person, world);
    const json = bridgeStatementToJson(handover(next));
    await service.answer(json, signal());
    world.generations = [next, committee(5n)];
    await expect(service.answer(json, signal())).rejects.toMatchObject({ code: 'BRIDGE_GENERATION_OTHER' });
  });
});
