import assert from 'node:assert/strict';
import type { Hex } from '@cloister/core';
import type { Scenario } from '../scenario.ts';
import { clientOf, counterSource, deployFunction } from '../support/apps.ts';
import { type Answered, HostileGateway, problemAnswer, type Relayed } from '../support/hostileGateway.ts';
import { LyingRpc, type RpcCall } from '../support/lyingRpc.ts';
import { refusedWith, refusedWorker } from '../support/refusals.ts';

type Lie = (call: RpcCall, result: unknown) => unknown;

export const scenario: Scenario = {
  title: 'A chain that is old, another one, or not the same to all RPCs leads to a refusal before anything is sealed',
  async run({ network: start, note }) {
    const network = await start();
    const { app } = await deployFunction(network, 'lying-rpc-counter', counterSource);
    const [honest = ''] = network.network.rpcs;
    const gateway = await HostileGateway.start(network.network.gateways[0] ?? '');
    const rpc = await LyingRpc.start(honest);
    /** A client that asks the lying RPC, alone or beside an honest one. */
    const misled = (rpcs: readonly string[]) => clientOf(network, { gateways: [gateway.url], rpcs });
    const nothingSealed = async (work: () => Promise<unknown>): Promise<void> => {
      gateway.forget();
      await work();
      assert.equal(gateway.sealed.length, 0, 'something was sealed and sent');
    };
    try {
      note('an RPC that tells the truth');
      assert.equal((await misled([honest, rpc.url]).call(app)).outcome, 'ok');
      const held = misled([rpc.url]);
      assert.equal((await held.call(app)).outcome, 'ok');

      note('an RPC whose newest block is older than five minutes');
      rpc.lie = aged(301);
      const workers = await misled([rpc.url]).workers();
      assert.ok(workers.length > 0);
      for (const { refusal } of workers)
        await refusedWorker('WORKER_CHAIN_STALE', 'chain-fresh', Promise.reject(refusal));
      await nothingSealed(() => refusedWith('CALL_NO_WORKER', misled([rpc.url]).call(app)));

      note('an RPC of another chain');
      rpc.lie = ({ method }, result) => (method === 'eth_chainId' ? '0x1' : result);
      await nothingSealed(() => refusedWith('CHAIN_WRONG_ID', misled([rpc.url]).call(app)));

      note('an RPC that answers a contract read otherwise than the other one');
      rpc.lie = flipping('eth_call');
      await nothingSealed(() => refusedWith('CHAIN_SPLIT', misled([honest, rpc.url]).call(app)));

      note('an RPC that names other blocks than the other one');
      rpc.lie = ({ method }, result) =>
        method === 'eth_getBlockByNumber' ? { ...(result as object), hash: `0x${'ab'.repeat(32)}` } : result;
      await nothingSealed(() => refusedWith('CHAIN_SPLIT', misled([honest, rpc.url]).call(app)));

      note('an RPC that knows no contract there');
      rpc.lie = ({ method }, result) => (method === 'eth_call' ? '0x' : result);
      await nothingSealed(() => refusedWith('CHAIN_NO_CONTRACT', misled([rpc.url]).call(app)));

      note('an RPC that is not there');
      await rpc.stop();
      await nothingSealed(() => refusedWith('CHAIN_UNREACHABLE', misled([honest, rpc.url]).call(app)));
      assert.equal((await misled([honest]).call(app)).outcome, 'ok');

      note('a client that has verified before goes on by what the committee signed, and shows so');
      const lost = { request: lostOnce() };
      const witnessed = await gateway.during(lost, () => held.call(app));
      assert.equal(witnessed.outcome, 'ok');
      assert.equal(witnessed.worker.steps.at(-1)?.id, 'witnessed');

      note('and refuses where the gateway withholds it, or passes on one that was changed');
      for (const change of [() => problemAnswer(503), aStatementOf(30n)])
        await gateway.during(
          { request: lostOnce(), answer: (answer, asked) => forStatements(asked, answer, change) },
          () => refusedWith('CHAIN_UNREACHABLE', held.call(app)),
        );
    } finally {
      await rpc.stop().catch(() => {});
      await gateway.stop();
    }
  },
};

/** The first call is lost: the client looks at the worker again before it tries once more. */
function lostOnce(): (asked: Relayed) => Relayed | Answered {
  let isLost = false;
  return (asked) => {
    if (isLost || asked.method !== 'POST') return asked;
    isLost = true;
    return problemAnswer(502);
  };
}

function forStatements(asked: Relayed, answer: Answered, change: (answer: Answered) => Answered): Answered {
  return asked.path.startsWith('/v1/statements/') ? change(answer) : answer;
}

/** A statement that says so many seconds later than it was. */
function aStatementOf(later: bigint): (answer: Answered) => Answered {
  return (answer) => {
    const told = JSON.parse(new TextDecoder().decode(answer.body)) as { statement: { time: string } };
    told.statement.time = `${BigInt(told.statement.time) + later}`;
    return { ...answer, body: new TextEncoder().encode(JSON.stringify(told)) };
  };
}

/** Blocks that say they are older than they are. */
function aged(seconds: number): Lie {
  return ({ method }, result) => {
    if (method !== 'eth_getBlockByNumber') return result;
    const block = result as { readonly timestamp: Hex };
    // By this machine's clock, whatever the chain's own says.
    return { ...block, timestamp: `0x${(Math.floor(Date.now() / 1000) - seconds).toString(16)}` };
  };
}

/** Answers with their last bit changed. */
function flipping(wanted: string): Lie {
  return ({ method }, result) => {
    if (method !== wanted || typeof result !== 'string') return result;
    return `${result.slice(0, -1)}${(Number.parseInt(result.slice(-1), 16) ^ 1).toString(16)}`;
  };
}
