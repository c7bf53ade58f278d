import { createRequire } from 'node:module';
import {
  createSimulatedPlatform,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
  randomSerial,
} from '@cloister/attestation/unsafe-simulated';
import {
  BoundedCache,
  type Collateral,
  type PckChain,
  type TrustRoot,
  verifyCollateral,
  verifyTdxQuote,
} from '@cloister/attestation/verify';

/** One line of `npm run bench`. Times are medians; ratio = ours / peer. */
export type QuoteBenchLine = {
  readonly id: 'quote-verify-full' | 'quote-verify-collateral-cached' | 'quote-verify-chain-cached';
  readonly ours: number;
  readonly peer: number;
  readonly unit: 'ms';
  readonly ratio: number;
  readonly runs: number;
};

/** A TDX quote with what verifies it; the peer wants the root as a certificate. */
export type QuoteBenchCase = {
  readonly quote: Uint8Array;
  readonly collateral: Collateral;
  readonly root: TrustRoot;
  /** DER. */
  readonly rootCertificate: Uint8Array;
  /** Unix seconds. */
  readonly now: number;
};

export type QuoteBenchOptions = {
  /** Rounds; in each every variant runs once, so that load on the machine meets all of them alike. Default 200. */
  readonly rounds?: number;
  /** Default: {@link syntheticQuoteCase}. */
  readonly subject?: QuoteBenchCase;
};

type DcapQvl = {
  readonly QuoteVerifier: {
    newWithRootCa(root: Buffer): {
      verify(quote: Buffer, collateral: Collateral, now: number): { readonly status: string };
    };
  };
};

const warmUpRounds = 20;

/**
 * Verifying a TDX v4 quote: everything each time, collateral kept verified, the platform's chain kept as well. The peer,
 * @phala/dcap-qvl, keeps nothing between calls, so all three are compared with its one time.
 */
export async function benchQuoteVerification(options: QuoteBenchOptions = {}): Promise<readonly QuoteBenchLine[]> {
  const { rounds = 200, subject = syntheticQuoteCase() } = options;
  const { quote, collateral, root, rootCertificate, now } = subject;
  const { QuoteVerifier } = createRequire(import.meta.url)('@phala/dcap-qvl') as DcapQvl;
  const peer = QuoteVerifier.newWithRootCa(Buffer.from(rootCertificate));
  const quoteBuffer = Buffer.from(quote);
  const verified = await verifyCollateral(collateral, { roots: [root], now });
  const chains = new BoundedCache<PckChain>(16);

  const variants = {
    full: async () => verifyTdxQuote(quote, await verifyCollateral(collateral, { roots: [root], now }), { now }),
    collateralCached: () => verifyTdxQuote(quote, verified, { now }),
    chainCached: () => verifyTdxQuote(quote, verified, { now, chains }),
    peer: async () => peer.verify(quoteBuffer, collateral, now),
  };
  const times = { full: [], collateralCached: [], chainCached: [], peer: [] } as {
    [Name in keyof typeof variants]: number[];
  };
  const names = Object.keys(variants) as (keyof typeof variants)[];
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (const name of names) {
      const start = performance.now();
      await variants[name]();
      if (round >= 0) times[name].push(performance.now() - start);
    }
  }

  const peerMs = median(times.peer);
  const line = (id: QuoteBenchLine['id'], samples: readonly number[]): QuoteBenchLine => {
    const ours = median(samples);
    return { id, ours, peer: peerMs, unit: 'ms', ratio: ours / peerMs, runs: rounds };
  };
  return [
    line('quote-verify-full', times.full),
    line('quote-verify-collateral-cached', times.collateralCached),
    line('quote-verify-chain-cached', times.chainCached),
  ];
}

/** Synthetic evidence with revocation lists as long as Intel's are. */
export function syntheticQuoteCase(now: number = Math.floor(Date.now() / 1000)): QuoteBenchCase {
  const root = makeSimulatedRoot(now);
  const platform = createSimulatedPlatform(root, { now });
  const collateral = mintCollateral(root, { issuedAt: now, revokedPcks: Array.from({ length: 64 }, randomSerial) });
  const measurements = { mrtd: new Uint8Array(48).fill(1), reportData: new Uint8Array(64).fill(2) };
  return {
    quote: mintQuote(platform, measurements),
    collateral,
    root: root.trustRoot,
    rootCertificate: root.root.certificate,
    now,
  };
}

function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] =
    sorted.length % 2 === 0 ? sorted.slice(middle - 1, middle + 1) : [sorted[middle], sorted[middle]];
  return (low + high) / 2;
}
