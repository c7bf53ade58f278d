import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bareJail } from './bare.ts';
import { bubblewrapJail } from './bubblewrap.ts';
import { IdentityPool } from './identity.ts';
import type { Jail, JailPlan } from './jail.ts';
import { type Launcher, limitCommand } from './launcher.ts';
import { namespacesJail } from './namespaces.ts';
import { filterProgram } from './seccomp/filterProgram.ts';
import { jailFilter } from './seccomp/jailFilter.ts';
import type { Tools } from './tools.ts';

/** 'unsafe-none' is for measuring what walls cost. */
export type JailChoice = 'auto' | 'bubblewrap' | 'namespaces' | 'unsafe-none';

/** Arguments that make the program print something known and leave: how a jail is tried out. */
export type JailProbe = { readonly args: readonly string[]; readonly expected: RegExp };

/** The strongest jail that really works here, which is tried out, not guessed. */
export async function chooseJail(
  choice: JailChoice,
  plan: JailPlan,
  probe: JailProbe,
  tools: Tools,
  launcher: Launcher,
  signal: AbortSignal,
): Promise<Jail> {
  if (choice === 'unsafe-none') return bareJail(plan, 'it was asked for none');
  if (process.platform !== 'linux') return bareJail(plan, `namespaces need Linux, this is "${process.platform}"`);
  const makers = { bubblewrap: bubblewrapJail, namespaces: namespacesJail };
  const reasons: string[] = [];
  const filter = await writeFilter(plan);
  const attempt = (jail: Jail): Promise<string | undefined> => tryOut(jail, plan, probe, tools, launcher, signal);
  // Root in a container may lack the rights of root, and still be allowed what everybody is.
  for (const asRoot of process.getuid?.() === 0 ? [true, false] : [false]) {
    for (const [name, make] of Object.entries(makers)) {
      if (choice !== 'auto' && choice !== name) continue;
      const { jail, failure } = await tryOutFiltered(filter, (whole) => make(whole, tools, asRoot, signal), attempt);
      if (jail !== undefined) return jail;
      reasons.push(`${name}${asRoot ? ' as root' : ''}: ${failure}`);
    }
  }
  return bareJail(plan, reasons.join('; '));
}

/** The plan with a filter of system calls, or with the reason why there is none. */
async function writeFilter(plan: JailPlan): Promise<JailPlan> {
  const filter = jailFilter();
  if (filter === undefined) return { ...plan, filterMissing: `no filter is known for "${process.arch}"` };
  const filterFile = join(plan.scratchDir, 'filter');
  await writeFile(filterFile, filterProgram(filter));
  await chmod(filterFile, 0o755);
  return { ...plan, filterFile };
}

/** The jail under the filter where that works, else without it; or why it works in neither way. */
async function tryOutFiltered(
  plan: JailPlan,
  make: (plan: JailPlan) => Promise<Jail | undefined>,
  attempt: (jail: Jail) => Promise<string | undefined>,
): Promise<{ readonly jail?: Jail; readonly failure?: string }> {
  const jail = await make(plan);
  if (jail === undefined) return { failure: 'not installed' };
  const failure = await attempt(jail);
  if (failure === undefined) return { jail };
  if (plan.filterFile === undefined) return { failure };
  const open = await make({ ...plan, filterFile: undefined, filterMissing: `it can't be set up here: ${failure}` });
  return open !== undefined && (await attempt(open)) === undefined ? { jail: open } : { failure };
}

/** Why the jail doesn't work, or undefined where it does. */
async function tryOut(
  jail: Jail,
  plan: JailPlan,
  probe: JailProbe,
  tools: Tools,
  launcher: Launcher,
  signal: AbortSignal,
): Promise<string | undefined> {
  const directory = await mkdtemp(join(plan.scratchDir, 'probe-'));
  try {
    const empty = join(directory, 'empty');
    const runDir = join(directory, 'run');
    await writeFile(empty, '');
    await mkdir(runDir);
    await chmod(runDir, 0o700);
    const command = await jail.command({
      directory,
      files: Object.fromEntries(plan.fileNames.map((name) => [name, empty])),
      runDir,
      identity: jail.separatesUsers ? new IdentityPool().take() : undefined,
      args: () => probe.args,
    });
    const child = launcher.prepare([]).run([...limitCommand(tools, { openFiles: 64 }), ...command]);
    let output = '';
    const collect = (chunk: Buffer): void => {
      if (output.length < 4096) output += chunk.toString('utf8');
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    await once(child, 'close', { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) }).finally(() =>
      child.kill('SIGKILL'),
    );
    return probe.expected.test(output) ? undefined : output.trim().slice(0, 300) || 'no answer';
  } catch (error) {
    signal.throwIfAborted();
    return error instanceof Error ? error.message : 'no answer';
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
