import type { CgroupParent } from '../cgroup/cgroup.ts';
import { findCgroups } from '../cgroup/findCgroups.ts';
import type { Surroundings } from '../process/confinedProcess.ts';
import { SeatPool } from '../process/seatPool.ts';
import type { WallReport } from '../sandbox.ts';
import { chooseJail, type JailChoice, type JailProbe } from './chooseJail.ts';
import { IdentityPool } from './identity.ts';
import type { JailPlan } from './jail.ts';
import { createLauncher } from './launcher.ts';
import { findTools } from './tools.ts';
import { wallReport } from './wallReport.ts';

export type WallOptions = {
  /** Which jail to use. Default: the strongest that works. */
  readonly jail?: JailChoice;
  /** Whether to look for control groups. Default true. */
  readonly cgroups?: boolean;
};

/** What stands around every process of a driver. */
export type Walled = {
  readonly surroundings: Surroundings;
  readonly cgroups: CgroupParent | undefined;
  /** Whether nothing but a limit on a process's private address space can hold its memory. */
  readonly needsDataLimit: boolean;
  /** @param hasDataLimit whether processes have one */
  report(hasDataLimit: boolean): WallReport;
  /** Takes the walls down, once no process is left behind them. */
  lower(): Promise<void>;
};

/** Tries out the walls that this machine can give, hands them over, and takes them down again where their new owner throws. */
export async function raiseWalls<Owner>(
  { jail: choice = 'auto', cgroups: wanted = true }: WallOptions,
  plan: JailPlan,
  probe: JailProbe,
  signal: AbortSignal,
  handOver: (walled: Walled) => Promise<Owner>,
): Promise<Owner> {
  const tools = findTools();
  const launcher = await createLauncher(tools, signal);
  const jail = await chooseJail(choice, plan, probe, tools, launcher, signal);
  const cgroups = wanted ? findCgroups() : undefined;
  const seats = new SeatPool(launcher, cgroups);
  const surroundings = { jail, tools, seats, identities: new IdentityPool() };
  const prlimit = tools.prlimit !== undefined;
  const walled: Walled = {
    surroundings,
    cgroups,
    needsDataLimit: cgroups?.controllers.memory !== true && prlimit && jail.name !== 'none',
    report: (dataLimit) => wallReport(jail, cgroups?.controllers, { dataLimit, prlimit }),
    async lower() {
      await seats.stop();
      await cgroups?.remove();
    },
  };
  try {
    return await handOver(walled);
  } catch (error) {
    await walled.lower();
    throw error;
  }
}
