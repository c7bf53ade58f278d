import { knownKeyEvidence, platformOfQuote, rememberingEvidence } from '@cloister/attestation/onchain';
import { createSimulatedPlatform, makeSimulatedRoot, SimulatedTdxDevice } from '@cloister/attestation/unsafe-simulated';
import { quoteOf } from '@cloister/attestation/verify';
import { type ChainAccount, ChainError, type RegistryReader, TransactionError } from '@cloister/chain';
import { toHex } from '@cloister/crypto';
import { createLogger } from '@cloister/service';
import { beforeEach, expect, test } from 'vitest';
import { image } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { IntelChainEvidence } from '../src/intelChainEvidence.ts';

const now = Math.floor(Date.now() / 1000);
const signal = AbortSignal.timeout(20_000);
const address = (byte: string) => `0x${byte.repeat(20)}` as const;
const [verifier, pckRegistry, store] = [address('a1'), address('a2'), address('a3')];
const device = new SimulatedTdxDevice({
  platform: createSimulatedPlatform(makeSimulatedRoot(now), { now }),
  image,
  configId: `0x${'00'.repeat(32)}`,
});
const document = await device.quote(new Uint8Array(64).fill(5), { signal });
const quote = quoteOf(document);
const certificate = toHex(platformOfQuote(quote).certificate);

/** What the chain knows; reads and writes follow from it as with the contracts. */
let chain: {
  registers: boolean;
  issuer: boolean;
  platform: boolean;
  collateralUntil: number | undefined;
  keyKnown: boolean;
  writes: string[];
  log: string[];
};

beforeEach(() => {
  const collateralUntil = now + 30 * 86_400;
  chain = { registers: true, issuer: true, platform: true, collateralUntil, keyKnown: true, writes: [], log: [] };
});

const reverts = (errorName: string) => new ChainError('CHAIN_READ_REVERTED', errorName, { errorName });

function reads({ functionName, args }: { functionName: string; args: readonly unknown[] }): unknown {
  if (functionName === 'pckRegistry') return pckRegistry;
  if (functionName === 'store') return store;
  if (functionName === 'platformOf') {
    expect(args).toEqual([toHex(platformOfQuote(quote).platformKey)]);
    if (!chain.platform) throw reverts('PckRegistryPlatformUnknown');
    return { notAfter: now + 365 * 86_400 };
  }
  if (functionName === 'recheck') {
    if (chain.collateralUntil === undefined) throw reverts('QuoteVerifierCollateralMissing');
    return [7, 20, BigInt(chain.collateralUntil)];
  }
  if (functionName === 'isKnownKey') {
    expect(args).toEqual([knownKeyEvidence(quote)]);
    return chain.keyKnown;
  }
  throw new Error(`Nobody should read ${functionName}`);
}

async function writes({ functionName, args }: { functionName: string; args: readonly unknown[] }) {
  if (functionName === 'registerPck') {
    expect(args).toEqual([certificate]);
    if (!chain.issuer)
      throw new TransactionError('TRANSACTION_REFUSED', 'refused', { errorName: 'PckRegistryIssuerUnknown' });
    chain.platform = true;
  } else if (functionName === 'submitPckCrl') chain.issuer = true;
  else if (functionName === 'submitQeIdentity') chain.collateralUntil = now + 30 * 86_400;
  chain.writes.push(functionName);
  return { gasUsed: 1n };
}

function evidence() {
  const registry = {
    view: {
      read: async (call: Parameters<typeof reads>[0]) => reads(call),
      head: async () => ({ timestamp: BigInt(now) }),
    },
    teePolicy: async () => (chain.registers ? { verifier } : undefined),
  } as unknown as RegistryReader;
  const account = { write: writes } as unknown as ChainAccount;
  const log = createLogger({ name: 'worker', write: (line) => chain.log.push(line) });
  return new IntelChainEvidence({ registry, account, log }).of(document, signal);
}

const everything = [
  'submitRootCrl',
  'submitPckCa',
  'submitPckCrl',
  'submitTcbSigner',
  'submitTcbInfo',
  'submitQeIdentity',
];

test('a key that the chain remembers needs the short form, and nothing is published', async () => {
  expect(await evidence()).toEqual({ teeType: 2, evidence: knownKeyEvidence(quote) });
  expect(chain.writes).toEqual([]);
});

test('another key is brought with everything, to be remembered', async () => {
  chain.keyKnown = false;
  expect(await evidence()).toEqual({ teeType: 2, evidence: rememberingEvidence(quote) });
});

test('a platform that the chain does not know is registered first', async () => {
  Object.assign(chain, { platform: false, keyKnown: false });
  await evidence();
  expect(chain.writes).toEqual(['registerPck']);
  expect(chain.log.join('\n')).toContain('platform certificate registered');
});

test('on a chain that knows nothing, collateral comes before the platform, and once', async () => {
  Object.assign(chain, { issuer: false, platform: false, collateralUntil: undefined, keyKnown: false });
  await evidence();
  expect(chain.writes).toEqual([...everything, 'registerPck']);
  expect(chain.log.filter((line) => line.includes('collateral published'))).toHaveLength(6);
});

test.each([
  ['is missing for this kind of platform', undefined],
  ['ends within two days', now + 86_400],
  ['has ended', now - 1],
] as const)('collateral that %s is published anew', async (_what, collateralUntil) => {
  chain.collateralUntil = collateralUntil;
  await evidence();
  expect(chain.writes).toEqual(everything);
});

test('a network without a verifier for this TEE is told by name', async () => {
  chain.registers = false;
  await expect(evidence()).rejects.toMatchObject({ code: 'CHAIN_EVIDENCE_UNSUPPORTED' });
});

test('a refusal that collateral does not mend passes through', async () => {
  chain.platform = false;
  const refused = new TransactionError('TRANSACTION_REFUSED', 'refused', { errorName: 'PckRegistryRevoked' });
  const registry = {
    view: { read: async (call: Parameters<typeof reads>[0]) => reads(call) },
    teePolicy: async () => ({ verifier }),
  } as unknown as RegistryReader;
  const account = {
    write: async () => {
      throw refused;
    },
  } as unknown as ChainAccount;
  const log = createLogger({ name: 'worker', write: () => undefined });
  await expect(new IntelChainEvidence({ registry, account, log }).of(document, signal)).rejects.toBe(refused);
});
