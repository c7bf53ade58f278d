import {
  type ChainAccount,
  ChainError,
  type ChainView,
  intelContractsOf,
  publishCollateral,
  registerPck,
  type Submission,
  TransactionError,
} from '@cloister/chain';
import { expect, test } from 'vitest';

type Write = Parameters<ChainAccount['write']>[0];
const address = (byte: string) => `0x${byte.repeat(20)}` as const;
const [store, pckRegistry, verifier] = [address('a1'), address('a2'), address('a3')];
const now = 1_800_000_000;
const platformKey = `0x${'11'.repeat(32)}` as const;
const contracts = { verifier, pckRegistry, collateralStore: store };
const submissions: readonly Submission[] = [
  { what: 'root-crl', der: '0x01' },
  { what: 'pck-ca', der: '0x02' },
  { what: 'pck-crl', der: '0x03' },
  { what: 'tcb-signer', der: '0x04' },
  { what: 'tcb-info', json: '0x05', r: `0x${'06'.repeat(32)}`, s: `0x${'07'.repeat(32)}` },
  { what: 'qe-identity', json: '0x08', r: `0x${'09'.repeat(32)}`, s: `0x${'0a'.repeat(32)}` },
];

/** An account whose transactions end as told, one after the other; the gas of the last goes on for the rest. */
function accountThat(...ends: readonly (bigint | TransactionError)[]) {
  const writes: Write[] = [];
  const write = async (call: Write) => {
    const end = ends[Math.min(writes.length, ends.length - 1)];
    writes.push(call);
    if (end instanceof TransactionError) throw end;
    return { gasUsed: end };
  };
  return { account: { write } as unknown as ChainAccount, writes };
}

const refusal = (errorName: string) => new TransactionError('TRANSACTION_REFUSED', 'refused', { errorName });
const reverted = new TransactionError('TRANSACTION_REVERTED', 'reverted', {});
const viewThat = (read: (call: { functionName: string; address: string }) => unknown) =>
  ({
    read: async (call: { functionName: string; address: string }) => read(call),
    head: async () => ({ timestamp: BigInt(now) }),
  }) as unknown as ChainView;

test('each part goes to its function, in the given order', async () => {
  const { account, writes } = accountThat(100n);
  const published = await publishCollateral(account, store, submissions);
  expect(published.map(({ what, gas }) => [what, gas])).toEqual(submissions.map(({ what }) => [what, 100n]));
  expect(writes.map(({ functionName }) => functionName)).toEqual([
    'submitRootCrl',
    'submitPckCa',
    'submitPckCrl',
    'submitTcbSigner',
    'submitTcbInfo',
    'submitQeIdentity',
  ]);
  expect(writes.every((call) => call.address === store)).toBe(true);
  expect(writes[4]?.args).toEqual(['0x05', `0x${'06'.repeat(32)}`, `0x${'07'.repeat(32)}`]);
});

test('what the chain has already is no failure, anything else is', async () => {
  const known = accountThat(refusal('CollateralStoreNotNewer'));
  const published = await publishCollateral(known.account, store, submissions);
  expect(published.every(({ gas }) => gas === null)).toBe(true);

  const lowered = accountThat(100n, refusal('CollateralStoreEvaluationLowered'));
  expect((await publishCollateral(lowered.account, store, submissions)).map(({ gas }) => gas)).toEqual([
    100n,
    ...new Array(5).fill(null),
  ]);

  const forged = accountThat(100n, refusal('CollateralStoreSignature'));
  await expect(publishCollateral(forged.account, store, submissions)).rejects.toMatchObject({
    meta: { errorName: 'CollateralStoreSignature' },
  });
  expect(forged.writes).toHaveLength(2);
});

test('where somebody else was first in the same block, the second try says so', async () => {
  const raced = accountThat(reverted, refusal('CollateralStoreNotNewer'));
  expect(await publishCollateral(raced.account, store, submissions.slice(0, 1))).toEqual([
    { what: 'root-crl', gas: null },
  ]);
  const broken = accountThat(reverted);
  await expect(publishCollateral(broken.account, store, submissions)).rejects.toBe(reverted);
  expect(broken.writes).toHaveLength(2);
});

test('a platform is registered once', async () => {
  const unknown = viewThat(() => {
    throw new ChainError('CHAIN_READ_REVERTED', 'reverted', { errorName: 'PckRegistryPlatformUnknown' });
  });
  const platform = { platformKey, certificate: '0x30' } as const;
  const fresh = accountThat(7n);
  expect(await registerPck(fresh.account, unknown, contracts, platform)).toBe(7n);
  expect(fresh.writes[0]).toMatchObject({ address: pckRegistry, functionName: 'registerPck', args: ['0x30'] });

  const raced = accountThat(refusal('PckRegistryNotNewer'));
  expect(await registerPck(raced.account, unknown, contracts, platform)).toBe(null);

  const known = accountThat(7n);
  const lasting = viewThat(() => ({ notAfter: now + 365 * 86_400 }));
  expect(await registerPck(known.account, lasting, contracts, platform)).toBe(null);
  expect(known.writes).toEqual([]);

  const away = viewThat(() => {
    throw new ChainError('CHAIN_UNREACHABLE', 'away', {});
  });
  await expect(registerPck(known.account, away, contracts, platform)).rejects.toMatchObject({
    code: 'CHAIN_UNREACHABLE',
  });
});

test('a platform whose certificate ends soon is registered again, where there is a certificate that lasts longer', async () => {
  const ending = viewThat(() => ({ notAfter: now + 86_400 }));
  const platform = { platformKey, certificate: '0x30' } as const;
  expect(await registerPck(accountThat(7n).account, ending, contracts, platform)).toBe(7n);
  const same = accountThat(refusal('PckRegistryNotNewer'));
  expect(await registerPck(same.account, ending, contracts, platform)).toBe(null);
  const changed = accountThat(refusal('PckRegistryPlatformChanged'));
  await expect(registerPck(changed.account, ending, contracts, platform)).rejects.toMatchObject({
    meta: { errorName: 'PckRegistryPlatformChanged' },
  });
});

test('the contracts behind a verifier are those that it names', async () => {
  const asked: string[] = [];
  const view = viewThat(({ functionName, address: at }) => {
    asked.push(`${functionName} of ${at}`);
    return functionName === 'pckRegistry' ? pckRegistry.toUpperCase().replace('0X', '0x') : store;
  });
  expect(await intelContractsOf(view, verifier)).toEqual(contracts);
  expect(asked[0]).toBe(`pckRegistry of ${verifier}`);
});
