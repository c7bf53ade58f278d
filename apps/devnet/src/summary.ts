import type { RunningDevnet } from './devnet.ts';
import type { Reporter } from './reporter.ts';

type Wall = { readonly name: string; readonly reason: string };
type NotOffered = { readonly kind: string; readonly reason: string };

/** What a user needs next, and what this network is not. `proven`: how the first call went, undefined where none was made. */
export function printSummary(reporter: Reporter, devnet: RunningDevnet, proven: boolean | undefined): void {
  const walls = missingWalls(devnet);
  const { kinds, notOffered } = offers(devnet);
  const { deployer, developer } = devnet.state.accounts;
  const addresses = { deployer: deployer.address, developer: developer.address };
  reporter.say(`
Network file   ${devnet.networkFile}
Gateway        ${devnet.gatewayUrl}
Chain          ${devnet.rpcUrl} (chain id ${devnet.network.chainId})
Accounts       ${devnet.accountsFile}
${Object.entries(addresses)
  .map(([name, address]) => `  ${name.padEnd(12)} ${address}`)
  .join('\n')}

SIMULATED      Every TEE here is simulated, under a root named DEV: real formats, no protection. Receipts say so.
Walls          ${walls.length === 0 ? 'all stand: network, filesystem, memory, pids, identity, cpu, system calls' : walls.map(({ name, reason }) => `missing: ${name} (${reason})`).join('; ')}
Governance     ${devnet.governed ? 'by votes of PHA alone' : 'by votes of PHA, and by the deployer without delay'}: cloister govern list
Apps           ${kinds.join(', ')}${notOffered.map(({ kind, reason }) => `\n               no ${kind}: ${reason}`).join('')}
First call     ${proven === undefined ? 'not made' : proven ? `verified, ${(reporter.elapsedMs / 1000).toFixed(1)} s after the start` : 'FAILED, see above'}

Next, in another terminal:
               npx --no-install cloister init hello --template function
               npx --no-install cloister deploy hello
               npx --no-install cloister call hello '/?name=Ada' --explain
               npx --no-install cloister --help`);
  reporter.line({
    step: 'ready',
    ok: proven !== false,
    ms: reporter.elapsedMs,
    network: devnet.networkFile,
    accounts: devnet.accountsFile,
    gateway: devnet.gatewayUrl,
    rpc: devnet.rpcUrl,
    addresses,
    simulated: true,
    governed: devnet.governed,
    missingWalls: walls,
    kinds,
    notOffered,
    verified: proven ?? null,
    pids: Object.fromEntries(devnet.children.map((child) => [child.spec.name, child.pid])),
  });
}

/** The same wall missing in every worker is said once. */
function missingWalls(devnet: RunningDevnet): Wall[] {
  const walls = [...devnet.workers.values()].flatMap((ready) => ready.missingWalls as Wall[]);
  return [...new Map(walls.map((wall) => [wall.name, wall])).values()];
}

/** What kinds of app the workers run between them, and which none does. */
function offers(devnet: RunningDevnet): { readonly kinds: string[]; readonly notOffered: NotOffered[] } {
  const ready = [...devnet.workers.values()];
  const kinds = new Set(ready.flatMap((worker) => worker.kinds as string[]));
  const lacking = ready.flatMap((worker) => worker.notOffered as NotOffered[]).filter(({ kind }) => !kinds.has(kind));
  return { kinds: [...kinds], notOffered: [...new Map(lacking.map((one) => [one.kind, one])).values()] };
}
