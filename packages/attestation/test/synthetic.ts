import { createRequire } from 'node:module';
import {
  createSimulatedPlatform,
  type MintCollateralOptions,
  type MintQuoteOptions,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
  type SimulatedPlatform,
  type SimulatedPlatformOptions,
  type SimulatedRoot,
  type TdMeasurements,
} from '../src/unsafe-simulated/index.ts';
import {
  AttestationError,
  type Collateral,
  type TdxClaims,
  verifyCollateral,
  verifyTdxQuote,
} from '../src/verify/index.ts';

/** 2026-09-21, in Unix seconds: tests choose their own time. */
export const now = 1_790_000_000;

export const measurements: TdMeasurements = {
  mrtd: new Uint8Array(48).fill(0xa1),
  rtmr0: new Uint8Array(48).fill(0xb0),
  rtmr1: new Uint8Array(48).fill(0xb1),
  rtmr2: new Uint8Array(48).fill(0xb2),
  mrConfigId: Uint8Array.from({ length: 48 }, (_, index) => (index < 32 ? 0xc0 : 0)),
  reportData: new Uint8Array(64).fill(0xd0),
};

/** A synthetic manufacturer, one of its platforms, and evidence of it: good unless the options say otherwise. */
export type World = {
  readonly root: SimulatedRoot;
  readonly platform: SimulatedPlatform;
  readonly collateral: Collateral;
  readonly quote: Uint8Array;
};

export type WorldOptions = {
  readonly root?: SimulatedRoot;
  readonly platform?: Partial<SimulatedPlatformOptions>;
  readonly collateral?: Partial<MintCollateralOptions>;
  readonly quote?: MintQuoteOptions;
};

/** One root for all tests of a file that don't need their own: keys cost time. */
export const sharedRoot = makeSimulatedRoot(now);

export function makeWorld(options: WorldOptions = {}): World {
  const root = options.root ?? sharedRoot;
  const platform = createSimulatedPlatform(root, { now, ...options.platform });
  const collateral = mintCollateral(root, { issuedAt: now - 3600, ...options.collateral });
  return { root, platform, collateral, quote: mintQuote(platform, measurements, options.quote) };
}

/** Claims of the world's evidence, by our verifier. */
export async function claimsOf(world: World, at = now): Promise<TdxClaims> {
  const verified = await verifyCollateral(world.collateral, { roots: [world.root.trustRoot], now: at });
  return verifyTdxQuote(world.quote, verified, { now: at });
}

/** The status, or `CODE at place`. Anything that is not ours escapes. */
export async function outcomeOf(world: World, at = now): Promise<string> {
  return outcome(() => claimsOf(world, at).then((claims) => claims.tcbStatus));
}

export async function outcome(action: () => Promise<string> | string): Promise<string> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof AttestationError) return `${error.code} at ${error.place}`;
    throw error;
  }
}

type DcapQvl = {
  readonly QuoteVerifier: {
    newWithRootCa(root: Buffer): OracleVerifier;
    newProd(): OracleVerifier;
  };
};
type OracleVerifier = {
  verify(
    quote: Buffer,
    collateral: Collateral,
    now: number,
  ): { readonly status: string; readonly advisory_ids: readonly string[] };
};

const { QuoteVerifier } = createRequire(import.meta.url)('@phala/dcap-qvl') as DcapQvl;

/** Status and advisories by @phala/dcap-qvl, or `refused`. The root is Intel's where none is given. */
export function oracleOf(quote: Uint8Array, collateral: Collateral, at: number, root?: Uint8Array): string {
  const verifier = root === undefined ? QuoteVerifier.newProd() : QuoteVerifier.newWithRootCa(Buffer.from(root));
  try {
    const { status, advisory_ids: advisories } = verifier.verify(Buffer.from(quote), collateral, at);
    return [status, ...[...advisories].sort()].join(' ');
  } catch {
    return 'refused';
  }
}

export function oracleOfWorld(world: World, at = now): string {
  return oracleOf(world.quote, world.collateral, at, world.root.root.certificate);
}

/** Status and advisories by our verifier, in the oracle's form. */
export async function oursOf(world: World, at = now): Promise<string> {
  const outcome = await claimsOf(world, at).catch((error: unknown) => {
    if (error instanceof AttestationError) return undefined;
    throw error;
  });
  return outcome === undefined ? 'refused' : [outcome.tcbStatus, ...[...outcome.advisories].sort()].join(' ');
}
