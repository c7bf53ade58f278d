import { workerRegistryAbi } from '@cloister/chain';
import { ProvenView, provenBlocks } from '@cloister/chain-proof';
import { rpc } from '../../packages/chain-proof/test/anvil.ts';
import { chainId, startTown } from '../../packages/chain-proof/test/town.ts';
import { type BenchLine, benchLine } from './measure.ts';

const runs = 3;

/**
 * A member's first reading of a long chain, from a node on this machine: all headers of the last 8,192 blocks fetched, hashed and held
 * against their parents' names, and the blooms of all of them asked for events. `traffic`: bytes that the RPC answers with for that.
 */
export async function benchChainWalk(): Promise<readonly BenchLine[]> {
  const town = await startTown();
  try {
    // In parts: a node answers nothing else while it mines.
    for (let mined = 0n; mined < provenBlocks; mined += 1_024n) await rpc(town.anvil.url, 'anvil_mine', ['0x400']);
    const times: number[] = [];
    const kilobytes: number[] = [];
    for (let run = 0; run < runs; run++) {
      let bytes = 0;
      const view = new ProvenView({
        chainId,
        rpcs: [town.anvil.url],
        onAnswer: (_, length) => {
          bytes += length;
        },
      });
      const end = await view.head();
      const query = {
        address: town.deployed.workerRegistry,
        abi: workerRegistryAbi,
        eventNames: ['WorkerRegistered', 'WorkerRetired'] as const,
        fromBlock: end.number - provenBlocks + 1n,
      };
      const started = performance.now();
      await view.logsUpTo(query, end);
      times.push(performance.now() - started);
      kilobytes.push(bytes / 1_000);
    }
    return [benchLine('chain-walk-8192', times), { ...benchLine('chain-walk-8192-traffic', kilobytes), unit: 'kB' }];
  } finally {
    await town.anvil.stop();
  }
}
