import {
  type BridgeParameters,
  ChainAccount,
  ChainView,
  CommitteeReader,
  deployBridge,
  deployRemoteTimelock,
  planBridge,
} from '@cloister/chain';
import { type BridgeLink, describeError, type NetworkFile } from '@cloister/core';
import { BridgeCarrier } from '@cloister/sdk';
import { parseEther } from 'viem';
import { anvilSpec } from './anvil.ts';
import type { ChildSpec } from './child.ts';
import { type BridgeState, type DataFolder, type DevnetState, newAccount } from './dataFolder.ts';
import { fundAccounts } from './deployment.ts';
import { chainId } from './options.ts';
import { freePort } from './ports.ts';
import type { Reporter } from './reporter.ts';

export const secondChainId = 31_338;

export type SecondChainParts = {
  readonly reporter: Reporter;
  readonly data: DataFolder;
  readonly state: DevnetState;
  readonly launch: (spec: ChildSpec) => Promise<Record<string, unknown>>;
};

/** For a new folder. */
export async function newBridge(): Promise<BridgeState> {
  return {
    rpcPort: await freePort(),
    homeDeployer: newAccount(),
    remoteDeployer: newAccount(),
    carrier: newAccount(),
  };
}

/**
 * The second chain of a folder that has one, and where the link's contracts stand or will stand: gatekeepers pin them before they have any
 * keys, and so before the other chain can know whose signatures count.
 */
export async function startSecondChain({
  reporter,
  data,
  state,
  launch,
}: SecondChainParts): Promise<BridgeLink | undefined> {
  const { bridge, accounts } = state;
  if (bridge === undefined) return undefined;
  const rpc = rpcOf(bridge);
  await reporter.step('second-chain', 'Second chain started', () =>
    launch(
      anvilSpec({
        name: 'second-chain',
        port: bridge.rpcPort,
        chainId: secondChainId,
        stateFile: data.file('second-chain.json'),
        // Nobody reads it but at its end.
        keepsOldStates: false,
        logFile: data.file('logs', 'second-chain.log'),
        cwd: data.dir,
      }),
    ),
  );
  await fundAccounts(rpc, state);
  const deployer = new ChainAccount({ chainId: secondChainId, rpc, account: accounts.deployer.privateKey });
  const { remoteTimelock } = parametersOf(deployer.address);
  const timelock = await deployRemoteTimelock(deployer, rpc, remoteTimelock);
  const deployers = { home: bridge.homeDeployer.address, remote: bridge.remoteDeployer.address };
  return { name: 'second chain', chainId: secondChainId, rpcs: [rpc], ...planBridge(deployers, timelock) };
}

/** Puts the link's contracts, once the committee has signers that the other chain can know. */
export async function deployLink(
  { reporter, state }: Pick<SecondChainParts, 'reporter' | 'state'>,
  network: NetworkFile,
  link: BridgeLink,
): Promise<void> {
  const { bridge, accounts } = state;
  if (bridge === undefined) return;
  const [rpc, remoteRpc] = [network.rpcs[0] as string, rpcOf(bridge)];
  await reporter.step(
    'bridge',
    'The bridge to the second chain stands, and knows the gatekeepers',
    async () => {
      const committee = new CommitteeReader(new ChainView({ chainId, rpcs: [rpc] }), network.contracts);
      const { number } = await committee.view.finalized();
      const { generation } = await committee.status(number);
      return deployBridge(
        link,
        network,
        link.chainId,
        {
          home: { rpc, account: new ChainAccount({ chainId, rpc, account: bridge.homeDeployer.privateKey }) },
          remote: {
            rpc: remoteRpc,
            account: new ChainAccount({
              chainId: secondChainId,
              rpc: remoteRpc,
              account: bridge.remoteDeployer.privateKey,
            }),
          },
        },
        parametersOf(accounts.deployer.address),
        {
          generation: generation.number,
          threshold: generation.threshold,
          signers: generation.members.map(({ signer }) => signer),
        },
      );
    },
    (created) => (created === 0 ? 'all was there' : `${created} contracts deployed`),
  );
}

/** Carries what the gatekeepers signed until the signal aborts: in this process, which has nothing else to do. */
export async function startCarrier(
  { carrier }: BridgeState,
  network: NetworkFile,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<void> {
  let lastTrouble = '';
  const carrying = new BridgeCarrier({
    network,
    account: carrier.privateKey,
    onCarried: (done) => reporter.line({ step: 'carried', ok: true, ...done }),
    onTrouble: (error) => {
      const trouble = describeError(error);
      if (trouble !== lastTrouble) reporter.line({ step: 'carrier', ok: false, reason: trouble });
      lastTrouble = trouble;
    },
  });
  await carrying.run(signal);
}

/** Days of a real network stay days here: the contracts allow no less. */
function parametersOf(deployer: BridgeLink['home']['bridge']): BridgeParameters {
  return {
    remoteTimelock: { delaySeconds: 0n, proposer: deployer },
    guardian: deployer,
    lifetimeSeconds: BigInt(3 * 86_400),
    limits: { window: parseEther('10000'), large: parseEther('2000') },
    handoverDelaySeconds: BigInt(25 * 3_600),
  };
}

function rpcOf({ rpcPort }: BridgeState): string {
  return `http://127.0.0.1:${rpcPort}`;
}
