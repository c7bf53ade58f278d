import type { TrustRoot } from '../verify/index.ts';
import { verifySnpKey } from '../verify/snp/verifySnpKey.ts';
import { verifySnpReport } from '../verify/snp/verifySnpReport.ts';
import type { CollateralFetcher } from './collateral/collateralQuery.ts';
import { collateralSource } from './collateral/collateralSource.ts';
import { endorsementSource, type VerifyEndorsements } from './collateral/endorsementSource.ts';
import { fileFetcher } from './collateral/fileFetcher.ts';
import { type EndorsementFetcher, kdsFetcher } from './collateral/kdsFetcher.ts';
import { pccsFetcher } from './collateral/pccsFetcher.ts';
import type { AttestationDriver } from './device.ts';
import { dstackDriver } from './dstack/dstackDriver.ts';
import type { SystemFiles } from './systemFiles.ts';
import { tsmDriver } from './tsm/tsmDriver.ts';

export type MachineDriversInit = {
  /** What evidence and collateral must lead to. */
  readonly roots: readonly TrustRoot[];
  /** Where collateral of TDX comes from, asked in this order. */
  readonly fetchers: readonly CollateralFetcher[];
  /** Where endorsements of SEV-SNP come from. Default: AMD's key service. */
  readonly endorsementFetchers?: readonly EndorsementFetcher[] | undefined;
  /** The agent's socket or a simulator's URL, in place of the places where agents listen. */
  readonly dstackEndpoint?: string | undefined;
  /** Of an SNP guest: the VMPL that evidence is asked for at. Default: the lowest that the kernel allows. */
  readonly privilegeLevel?: number | undefined;
  /** Default: this machine's. */
  readonly files?: SystemFiles | undefined;
  /** Unix seconds. Default: this machine's clock. */
  readonly now?: (() => number) | undefined;
};

/**
 * Every driver of real devices, in the order in which a machine's is chosen: inside a dstack CVM its agent knows more than
 * the kernel does.
 */
export function machineDrivers(init: MachineDriversInit): readonly AttestationDriver[] {
  const { files, privilegeLevel, roots, now, endorsementFetchers = [kdsFetcher()] } = init;
  const collateral = collateralSource(init);
  const endorsements = endorsementSource({ fetchers: endorsementFetchers, verify: verifyUpTo(roots), now });
  return [
    dstackDriver({ collateral, files, endpoint: init.dstackEndpoint }),
    tsmDriver({ collateral, endorsements, files, privilegeLevel }),
  ];
}

/** A report with its endorsements, as a verifier of its evidence will see them. */
function verifyUpTo(roots: readonly TrustRoot[]): VerifyEndorsements {
  return async (report, endorsements, now) => {
    const key = await verifySnpKey(endorsements, { roots, now });
    await verifySnpReport(report, key, { now });
    return { notAfter: key.notAfter };
  };
}

export type CollateralPlaces = {
  /** A file of collateral, or a folder of them. Asked first. */
  readonly path?: string | undefined;
  /** Base URL of a service. */
  readonly service?: string | undefined;
};

/** The fetchers that a configuration names. */
export function collateralFetchers({ path, service }: CollateralPlaces): readonly CollateralFetcher[] {
  return [
    ...(path === undefined ? [] : [fileFetcher(path)]),
    ...(service === undefined ? [] : [pccsFetcher({ url: service })]),
  ];
}
