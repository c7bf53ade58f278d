import {
  appRegistryAbi,
  ChainView,
  evidenceVerifierAbi,
  gatekeeperCommitteeAbi,
  imageRegistryAbi,
  workerRegistryAbi,
} from '@cloister/chain';
import { ProvenView } from '@cloister/chain-proof';
import type { Bytes32 } from '@cloister/core';
import { rpc } from '../../packages/chain-proof/test/anvil.ts';
import { chainId, startTown, type Town } from '../../packages/chain-proof/test/town.ts';
import { type BenchLine, benchLine } from './measure.ts';

const runs = 20;
const b32: Bytes32 = `0x${'1a'.repeat(32)}`;

/**
 * What a gatekeeper reads of the chain for one key decision, from a node on this machine: proven and run here, against the same as
 * plain eth_call. `cold`: a member that has just started; `next-block`: the newest block's first decision, nothing of the contracts
 * changed since; `same-block`: every further decision at that block about the same worker and app. `traffic`: bytes that the RPC
 * answers with, cold.
 */
export async function benchProvenReads(): Promise<readonly BenchLine[]> {
  const town = await startTown();
  try {
    const times = { cold: pair(), next: pair(), same: pair(), bytes: [] as number[] };
    const warm = { ours: new ProvenView({ chainId, rpcs: [town.anvil.url] }), peer: plainView(town) };
    await Promise.all([decide(town, warm.ours), decide(town, warm.peer)]);
    for (let run = 0; run < runs; run++) {
      let bytes = 0;
      const fresh = new ProvenView({
        chainId,
        rpcs: [town.anvil.url],
        onAnswer: (_, length) => {
          bytes += length;
        },
      });
      times.cold.ours.push(await timed(town, fresh));
      times.bytes.push(bytes / 1_000);
      times.cold.peer.push(await timed(town, plainView(town)));
      await rpc(town.anvil.url, 'anvil_mine', []);
      times.next.ours.push(await timed(town, warm.ours));
      times.next.peer.push(await timed(town, warm.peer));
      times.same.ours.push(await timed(town, warm.ours));
      times.same.peer.push(await timed(town, warm.peer));
    }
    return [
      benchLine('proven-reads-cold', times.cold.ours, times.cold.peer),
      benchLine('proven-reads-next-block', times.next.ours, times.next.peer),
      benchLine('proven-reads-same-block', times.same.ours, times.same.peer),
      { ...benchLine('proven-reads-traffic', times.bytes), unit: 'kB' },
    ];
  } finally {
    await town.anvil.stop();
  }
}

function pair(): { readonly ours: number[]; readonly peer: number[] } {
  return { ours: [], peer: [] };
}

function plainView(town: Town): ChainView {
  return new ChainView({ chainId, rpcs: [town.anvil.url] });
}

async function timed(town: Town, view: ChainView): Promise<number> {
  const started = performance.now();
  await decide(town, view);
  return performance.now() - started;
}

/** The reads of `readKeyFacts`, in its order; refusals are answers too. */
async function decide({ deployed, workerId, app, account }: Town, view: ChainView): Promise<void> {
  const { number: block } = await view.head();
  const workers = { address: deployed.workerRegistry, abi: workerRegistryAbi, block } as const;
  const images = { address: deployed.imageRegistry, abi: imageRegistryAbi, block } as const;
  const apps = { address: deployed.appRegistry, abi: appRegistryAbi, block } as const;
  const verifier = { address: deployed.tdxVerifier, abi: evidenceVerifierAbi, block } as const;
  await view.read({ ...workers, functionName: 'networkKeysHash', args: [] });
  await view.read({ ...workers, functionName: 'isActiveSigner', args: [account.address] });
  await view.read({ ...workers, functionName: 'statusOf', args: [workerId] });
  await Promise.all([
    view.read({ ...images, functionName: 'areAllowed', args: [b32, b32] }),
    view.read({ ...images, functionName: 'isPlatformBlocked', args: [b32] }),
    view.read({ ...workers, functionName: 'teePolicyOf', args: [2] }),
  ]);
  await view.read({ ...verifier, functionName: 'recheck', args: [b32, b32] }).catch(() => {});
  await view.read({ ...apps, functionName: 'current', args: [app] });
  await view.read({ ...apps, functionName: 'isImagePinned', args: [app, b32] });
  await view.read({ ...apps, functionName: 'versionOf', args: [app, 1] });
  const committee = { address: deployed.gatekeeperCommittee, abi: gatekeeperCommitteeAbi, block } as const;
  await view.read({ ...committee, functionName: 'generation', args: [] });
}
