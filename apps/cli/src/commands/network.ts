import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CloisterError, networkFileId, parseNetworkFile } from '@cloister/core';
import type { Command } from 'commander';
import { print } from '../output.ts';
import { findNetworkFile, type NetworkOptions, pinNetwork } from '../settings.ts';

export function networkCommands(program: Command): void {
  program
    .command('up')
    .description('start a network on this machine (in the repository only); takes the options of npm start')
    .allowUnknownOption()
    .argument('[options...]', 'see: cloister up --help-devnet')
    .action(async (extra: string[], _: unknown, command: Command) => {
      const launcher = path.resolve(
        path.dirname(fileURLToPath(import.meta.url)),
        '..',
        '..',
        '..',
        'devnet',
        'src',
        'main.ts',
      );
      if (!existsSync(launcher)) throw new UpError();
      const { json } = command.optsWithGlobals<{ json?: boolean }>();
      const argv = [...extra.map((item) => (item === '--help-devnet' ? '--help' : item)), ...(json ? ['--json'] : [])];
      const child = spawn(process.execPath, [launcher, ...argv], { stdio: 'inherit' });
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
      process.exitCode = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)));
    });

  program
    .command('use')
    .description('pin a network for this folder: its file is copied to .cloister/network.json')
    .argument('<network-file>', 'the file that npm start printed, or that you got from someone you trust')
    .option('--key <file>', 'private key to use with it')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<{ key?: string; json?: boolean }>();
      const pinned = await pinNetwork(file, options.key);
      const network = parseNetworkFile(await readFile(pinned));
      print(
        options,
        { network: pinned, id: networkFileId(network), simulated: network.simulated },
        () =>
          `Pinned "${network.name}" (${networkFileId(network)})${network.simulated ? ', SIMULATED' : ''} in ${pinned}`,
      );
    });

  program
    .command('network')
    .description('the network that commands use here')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<NetworkOptions & { json?: boolean }>();
      const file = findNetworkFile(options);
      const network = parseNetworkFile(await readFile(file));
      print(
        options,
        { file, id: networkFileId(network), network },
        () =>
          `${network.name} (${networkFileId(network)})${network.simulated ? ' SIMULATED' : ''}\n  file      ${file}\n  chain     ${network.chainId} at ${network.rpcs.join(', ')}\n  gateways  ${network.gateways.join(', ')}`,
      );
    });
}

export class UpError extends CloisterError<'UP_OUTSIDE_REPOSITORY'> {
  override readonly name = 'UpError';
  constructor() {
    super({
      code: 'UP_OUTSIDE_REPOSITORY',
      message: 'A network can be started from the repository only',
      hint: 'Clone the repository and run npm start there',
    });
  }
}
