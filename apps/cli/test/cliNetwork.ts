import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NetworkFile } from '@cloister/core';
import type { Command } from 'commander';
import { SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { bridgeCommands } from '../src/commands/bridge.ts';
import { callCommand } from '../src/commands/call.ts';
import { collateralCommand } from '../src/commands/collateral.ts';
import { deployCommand } from '../src/commands/deploy.ts';
import { devCommand } from '../src/commands/dev.ts';
import { epochCommands } from '../src/commands/epoch.ts';
import { governCommands } from '../src/commands/govern.ts';
import { imageCommands } from '../src/commands/image.ts';
import { initCommand } from '../src/commands/init.ts';
import { listingCommands } from '../src/commands/listings.ts';
import { manifestCommands } from '../src/commands/manifest.ts';
import { networkCommands } from '../src/commands/network.ts';
import { proxyCommand } from '../src/commands/proxy.ts';
import { secretsCommands } from '../src/commands/secrets.ts';
import { sendCommand } from '../src/commands/send.ts';
import { slashCommands } from '../src/commands/slashes.ts';
import { stakingCommands } from '../src/commands/staking.ts';
import { stateCommand } from '../src/commands/state.ts';
import { timelockCommands } from '../src/commands/timelock.ts';
import { verifyCommand } from '../src/commands/verify.ts';
import { verifyEvidenceCommand } from '../src/commands/verifyEvidence.ts';
import { versionCommands } from '../src/commands/versions.ts';
import { type Ran, runCommand } from './runCommand.ts';

/** A simulated network whose gateway listens on loopback, as the command line needs it. */
export async function startNetwork(
  changes: Partial<NetworkFile> = {},
): Promise<{ network: SimulatedNetwork; stop(): Promise<void> }> {
  let network: SimulatedNetwork | undefined;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const answer = await network?.gateway.fetch(`${network.gateway.url}${request.url}`, {
      method: request.method ?? 'GET',
      headers: { 'content-type': request.headers['content-type'] ?? '' },
      ...(parts.length === 0 ? {} : { body: Buffer.concat(parts) }),
    });
    response.writeHead(answer?.status ?? 503, Object.fromEntries(answer?.headers ?? []));
    response.end(Buffer.from((await answer?.arrayBuffer()) ?? new ArrayBuffer()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const started = await SimulatedNetwork.start({ gateways: [url], ...changes });
  network = started;
  return {
    network: started,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await started.stop();
    },
  };
}

/** Runs one of the commands in this process, as `main.ts` would, and gives what it printed and threw. */
export function run(...argv: string[]): Promise<Ran> {
  return runCommand(registerAll, argv);
}

function registerAll(program: Command): void {
  networkCommands(program);
  deployCommand(program);
  initCommand(program);
  manifestCommands(program);
  callCommand(program);
  verifyCommand(program);
  secretsCommands(program);
  listingCommands(program);
  versionCommands(program);
  timelockCommands(program);
  imageCommands(program);
  stateCommand(program);
  stakingCommands(program);
  sendCommand(program);
  slashCommands(program);
  governCommands(program);
  devCommand(program);
  verifyEvidenceCommand(program);
  collateralCommand(program);
  epochCommands(program);
  proxyCommand(program);
  bridgeCommands(program);
}
