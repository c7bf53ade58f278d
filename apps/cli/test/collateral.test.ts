import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collateralSubmissions } from '@cloister/attestation/onchain';
import {
  createSimulatedPlatform,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
} from '@cloister/attestation/unsafe-simulated';
import { evidenceDocument, serialiseEvidence } from '@cloister/attestation/verify';
import { collateralStoreAbi, pckRegistryAbi, quoteVerifierAbi } from '@cloister/chain';
import { zeroAddress } from '@cloister/core';
import {
  type Abi,
  type AbiEvent,
  decodeFunctionData,
  encodeAbiParameters,
  encodeErrorResult,
  encodeEventTopics,
  encodeFunctionResult,
  type Hex,
} from 'viem';
import { generatePrivateKey } from 'viem/accounts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type StubCall, StubRevert } from '../../../packages/chain/test/stubRpc.ts';
import { address, bytes32, type SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { run, startNetwork } from './cliNetwork.ts';

const now = Math.floor(Date.now() / 1000);
const day = 86_400;
const [verifier, pckRegistry, store] = [address(0xa1), address(0xa2), address(0xa3)];
const root = makeSimulatedRoot(now);
const collateral = mintCollateral(root, { issuedAt: now - 3_600 });
const everything = ['root-crl', 'pck-ca', 'pck-crl', 'tcb-signer', 'tcb-info', 'qe-identity'];

let network: SimulatedNetwork;
let stop: () => Promise<void>;
let folder = '';
let options: string[] = [];
/** What the store keeps, and what it was brought. */
let chain: {
  rootCrl: readonly [number, number];
  logs: object[];
  brought: { name: string; args: readonly unknown[] }[];
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-collateral-'));
  await writeFile(join(folder, 'key'), generatePrivateKey());
  await writeFile(join(folder, 'collateral.json'), JSON.stringify(collateral));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  ({ network, stop } = await startNetwork());
  await writeFile(join(folder, 'network.json'), JSON.stringify(network.file));
  options = ['--network', join(folder, 'network.json'), '--key', join(folder, 'key')];
  network.registries.teePolicy.verifier = verifier;
  chain = { rootCrl: [now - 3_600, now + 20 * day], logs: [], brought: [] };
  network.rpc.contracts = (call) => answer(call) ?? network.registries.answer(call);
  network.rpc.intercept = (method, [filter]) => {
    if (method !== 'eth_getLogs') return undefined;
    const { topics } = filter as { readonly topics: readonly (Hex | null)[] };
    return chain.logs.filter((log) => (log as { topics: readonly Hex[] }).topics[0] === topics[0]);
  };
});
afterEach(() => stop());

function answer({ to, data, commits }: StubCall): Hex | undefined {
  const place = to.toLowerCase();
  if (place === verifier) return result(quoteVerifierAbi, 'pckRegistry', pckRegistry);
  if (place === pckRegistry) return result(pckRegistryAbi, 'store', store);
  if (place !== store) return undefined;
  const { functionName, args } = decodeFunctionData({ abi: collateralStoreAbi, data });
  if (functionName === 'simulated') return result(collateralStoreAbi, functionName, true);
  if (functionName === 'rootCrl') return result(collateralStoreAbi, functionName, [...chain.rootCrl]);
  if (functionName === 'submitRootCrl')
    throw new StubRevert(
      encodeErrorResult({ abi: collateralStoreAbi, errorName: 'CollateralStoreNotNewer', args: [1n, 2n] }),
    );
  if (commits) chain.brought.push({ name: functionName, args: args ?? [] });
  return '0x';
}

function result(abi: Abi, functionName: string, value: unknown): Hex {
  return encodeFunctionResult({ abi, functionName, result: value } as Parameters<typeof encodeFunctionResult>[0]);
}

function logOf(eventName: 'TcbInfoSubmitted' | 'QeIdentitySubmitted', args: Record<string, unknown>): object {
  const abi: Abi = collateralStoreAbi;
  const event = abi.find((item) => item.type === 'event' && item.name === eventName) as AbiEvent;
  const unindexed = event.inputs.filter(({ indexed }) => indexed !== true);
  const values = unindexed.map(({ name }) => args[name ?? '']);
  const where = { blockNumber: '0x1', blockHash: bytes32(1), transactionHash: bytes32(1), transactionIndex: '0x0' };
  return {
    address: store,
    topics: encodeEventTopics({ abi, eventName, args }),
    data: encodeAbiParameters(unindexed, values),
    logIndex: '0x0',
    removed: false,
    ...where,
  };
}

const tcbInfo = (fmspc: Hex, evaluation: number, nextUpdate: number) =>
  logOf('TcbInfoSubmitted', {
    ...{ teeType: 2, fmspc, pceId: '0x0000', evaluation, issueDate: now - day, nextUpdate, version: 1 },
  });

const json = async (...argv: string[]) => {
  const ran = await run('--json', ...options, ...argv);
  if (ran.error !== undefined) throw ran.error;
  expect(ran.out.trim().split('\n')).toHaveLength(1);
  return JSON.parse(ran.out);
};

describe('collateral status', () => {
  test('says what stands on the chain, the newest of each kind of platform, and what registering asks', async () => {
    chain.logs = [
      tcbInfo('0x00606a000000', 17, now + 9 * day),
      tcbInfo('0x90c06f000000', 18, now + 8 * day),
      tcbInfo('0x00606a000000', 19, now + 10 * day),
      logOf('QeIdentitySubmitted', {
        ...{ teeType: 2, evaluation: 19, issueDate: now - day, nextUpdate: now - 60, version: 2 },
      }),
    ];
    expect(await json('collateral', 'status')).toEqual([
      {
        teeType: 'tdx',
        policy: {
          verifier,
          leaseDurationSeconds: 3_600,
          acceptedTcbStatuses: ['UpToDate', 'SWHardeningNeeded'],
          minimumTcbEvaluationDataNumber: 0,
        },
        contracts: { verifier, pckRegistry, collateralStore: store },
        simulated: true,
        rootCrl: { thisUpdate: now - 3_600, nextUpdate: now + 20 * day },
        tcbInfos: [
          { fmspc: '0x00606a000000', tcbEvaluationDataNumber: 19, issueDate: now - day, nextUpdate: now + 10 * day },
          { fmspc: '0x90c06f000000', tcbEvaluationDataNumber: 18, issueDate: now - day, nextUpdate: now + 8 * day },
        ],
        qeIdentity: { tcbEvaluationDataNumber: 19, issueDate: now - day, nextUpdate: now - 60 },
      },
    ]);
    const { out } = await run(...options, 'collateral', 'status');
    expect(out).toContain('TDX  below a root named DEV: SIMULATED\n');
    expect(out).toContain(
      'registers with   UpToDate or SWHardeningNeeded, evaluation data 0 or later; leases of 3600 s',
    );
    expect(out).toMatch(/TCB info {9}0x00606a000000: evaluation data 19, \S+ to \S+\n/);
    expect(out).toMatch(/QE identity {6}evaluation data 19, \S+ to \S+ \(ended\)\n/);
  });

  test('says what is missing', async () => {
    chain.rootCrl = [0, 0];
    const { out } = await run(...options, 'collateral', 'status');
    expect(out).toMatch(/root CRL {9}missing\n {2}QE identity {6}missing\n {2}TCB info {9}none\n$/);
  });

  test('where no TEE type of Intel can register', async () => {
    network.registries.teePolicy.verifier = zeroAddress;
    expect(await json('collateral', 'status')).toEqual([]);
    expect((await run(...options, 'collateral', 'status')).out).toBe('No TEE type of Intel can register.\n');
  });
});

describe('collateral publish', () => {
  test('brings each part to the store, in the order in which it can check them, and lists no events for that', async () => {
    const published = await json('collateral', 'publish', join(folder, 'collateral.json'));
    expect(published.map(({ what }: { what: string }) => what)).toEqual(everything);
    expect(published[0]).toEqual({ what: 'root-crl', gas: null });
    expect(published[1]).toEqual({ what: 'pck-ca', gas: '21000' });
    expect(chain.brought.map(({ name }) => name)).toEqual([
      ...['submitPckCa', 'submitPckCrl', 'submitTcbSigner', 'submitTcbInfo', 'submitQeIdentity'],
    ]);
    const tcb = collateralSubmissions(collateral).find(({ what }) => what === 'tcb-info');
    expect(chain.brought[3]?.args[0]).toBe(tcb !== undefined && 'json' in tcb ? tcb.json : undefined);
    expect(network.rpc.asks('eth_getLogs')).toBe(0);
  });

  test('takes it out of an evidence document, and tells people what became of it', async () => {
    const quote = mintQuote(createSimulatedPlatform(root, { now }), {
      mrtd: new Uint8Array(48).fill(1),
      reportData: new Uint8Array(64),
    });
    await writeFile(join(folder, 'evidence.json'), serialiseEvidence(evidenceDocument(quote, collateral)));
    const { out, error } = await run(...options, 'collateral', 'publish', join(folder, 'evidence.json'));
    expect(error).toBeUndefined();
    expect(out).toContain('root-crl     as new or newer there already\npck-ca       21000 gas\n');
    expect(out.trimEnd().split('\n')).toHaveLength(everything.length);
  });

  test('a network that judges no evidence of Intel on its chain', async () => {
    network.registries.teePolicy.verifier = zeroAddress;
    const { error } = await run(...options, 'collateral', 'publish', join(folder, 'collateral.json'));
    expect(error).toMatchObject({ code: 'COLLATERAL_NOT_KEPT' });
    expect(chain.brought).toEqual([]);
  });

  test.each([
    ['no JSON', '{', 'JSON_MALFORMED'],
    ['no collateral', '{"tcb_info":"{}"}', 'COLLATERAL_MISSING'],
    ['a document of another form', '{"format":"cloister-evidence-9"}', 'MALFORMED_EVIDENCE'],
  ])('a file that is %s is refused by name, and nothing is brought', async (_what, text, code) => {
    await writeFile(join(folder, 'bad.json'), text);
    const { error } = await run(...options, 'collateral', 'publish', join(folder, 'bad.json'));
    expect(error).toMatchObject({ code });
    expect(chain.brought).toEqual([]);
  });
});
