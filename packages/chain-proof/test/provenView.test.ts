import { ChainView, CommitteeReader, RegistryReader, workerRegistryAbi } from '@cloister/chain';
import { type Address, CloisterError, type Hex } from '@cloister/core';
import { type Abi, type AbiFunction, type AbiParameter, encodeFunctionData } from 'viem';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ProvenView } from '../src/index.ts';
import { type Lie, LyingRpc, rpc } from './anvil.ts';
import { chainId, startTown, type Town } from './town.ts';

let town: Town;
let lying: LyingRpc;
beforeAll(async () => {
  town = await startTown();
  lying = await new LyingRpc(town.anvil.url).start();
}, 60_000);
afterAll(async () => {
  await lying.stop();
  await town.anvil.stop();
});
afterEach(() => {
  lying.lie = () => undefined;
  lying.asked = [];
});

/** Pauses are as many as always, and short: what lies here does so the next time too. */
const pausesMs = [1, 1];
const view = (...rpcs: string[]) => new ProvenView({ chainId, rpcs: rpcs.length > 0 ? rpcs : [lying.url], pausesMs });
const signer: Address = `0x${'ab'.repeat(20)}`;
const statusOf = (from: ChainView) =>
  from.read({
    address: town.deployed.workerRegistry,
    abi: workerRegistryAbi,
    functionName: 'statusOf',
    args: [town.workerId],
  });

describe('a read', () => {
  test('of every view of every contract is what a node answers, refusals too', async () => {
    const told = new ChainView({ chainId, rpcs: [town.anvil.url] });
    const proven = view(town.anvil.url);
    const { number: block } = await told.head();
    let values = 0;
    const unsupported: string[] = [];
    for (const { address, abi } of town.contracts)
      for (const item of abi.filter(isRead))
        for (const args of [0, 1, 2].map((kind) => item.inputs.map((input) => sampleOf(input, kind)))) {
          const query = { address, abi: abi as Abi, functionName: item.name, args, block };
          const [left, right] = await Promise.all([outcome(told.read(query)), outcome(proven.read(query))]);
          if (right === 'CHAIN_CALL_UNSUPPORTED') unsupported.push(item.name);
          else expect(right, `${item.name}(${args})`).toEqual(left);
          if (typeof right !== 'string' || !right.startsWith('CHAIN_')) values += 1;
        }
    expect(values).toBeGreaterThan(200);
    expect([...new Set(unsupported)].sort()).toEqual([]);
  }, 60_000);

  test('comes through the readers that gatekeepers use', async () => {
    const told = new ChainView({ chainId, rpcs: [town.anvil.url] });
    const { number } = await told.head();
    const all = async (from: ChainView) => {
      const registry = new RegistryReader(from, town.deployed as never);
      return [
        await registry.workerStatus(town.workerId, number),
        await registry.currentApp(town.app, number),
        await registry.appCreatedAt(town.app, number),
        await registry.secretsOf(town.app, number),
        await registry.teePolicy(2, number),
        await new CommitteeReader(from, town.deployed).status(number),
      ];
    };
    expect(await all(view())).toEqual(await all(told));
    await expect(new RegistryReader(view(), town.deployed as never).currentApp(town.workerId)).rejects.toMatchObject({
      code: 'REGISTRY_APP_UNKNOWN',
    });
  });

  test('of raw call data, and of a balance, is proven too: no RPC is believed', async () => {
    const told = new ChainView({ chainId, rpcs: [town.anvil.url] });
    const { number: block } = await told.head();
    const data = encodeFunctionData({ abi: workerRegistryAbi, functionName: 'statusOf', args: [town.workerId] });
    const call = { to: town.deployed.workerRegistry, data, block };
    const [left, right] = await Promise.all([outcome(told.call(call)), outcome(view().call(call))]);
    expect(right).toEqual(left);
    const rich = town.account.address;
    const balance = await told.balance(rich, block);
    expect(balance).toBeGreaterThan(0n);
    expect(await told.balance(signer, block)).toBe(0n);
    lying.lie = ({ method }) => (method === 'eth_getBalance' || method === 'eth_call' ? '0x7' : undefined);
    expect(await view().balance(rich, block)).toBe(balance);
    expect(await view().balance(signer, block)).toBe(0n);
    expect(await outcome(view().call(call))).toEqual(left);
  });

  test('of a past block is of its state then', async () => {
    const first = await view().blockAt(1n);
    expect(first.number).toBe(1n);
    const query = {
      address: town.deployed.workerRegistry,
      abi: workerRegistryAbi,
      functionName: 'genesis',
      args: [],
    } as const;
    await expect(view().read({ ...query, block: 1n })).rejects.toMatchObject({ code: 'CHAIN_NO_CONTRACT' });
    expect(await view().read(query)).toBe(1_700_000_000n);
  });

  test('asks nothing twice at one block, and at the next only for accounts while storage is the same', async () => {
    const proven = view();
    const methods = () => lying.asked.map(({ method }) => method);
    await statusOf(proven);
    expect(methods()).toEqual(expect.arrayContaining(['eth_getProof', 'eth_getCode', 'eth_createAccessList']));
    lying.asked = [];
    await statusOf(proven);
    expect(methods()).not.toContain('eth_getProof');
    await rpc(town.anvil.url, 'anvil_mine', []);
    lying.asked = [];
    await statusOf(proven);
    const proofs = lying.asked.filter(({ method }) => method === 'eth_getProof');
    expect(proofs.length).toBeGreaterThan(0);
    expect(proofs.flatMap(({ params }) => params[1])).toEqual([]);
    expect(methods()).not.toContain('eth_getCode');
    expect(methods()).not.toContain('eth_createAccessList');
  });

  test('of more accounts than any of ours reads is refused', async () => {
    const at: Address = `0x${'7e'.repeat(20)}`;
    const query = { address: at, abi: workerRegistryAbi, functionName: 'genesis', args: [] } as const;
    // Asks for the balances of so many accounts, one after the other, and gives nothing back.
    const asking = (count: number) =>
      `0x620100005b8031506001018062${(0x10000 + count).toString(16).padStart(6, '0')}1160045700`;
    await rpc(town.anvil.url, 'anvil_setCode', [at, asking(30)]);
    await rpc(town.anvil.url, 'anvil_mine', []);
    await expect(view().read(query)).rejects.toMatchObject({ code: 'CHAIN_NO_CONTRACT' });
    await rpc(town.anvil.url, 'anvil_setCode', [at, asking(80)]);
    await rpc(town.anvil.url, 'anvil_mine', []);
    await expect(view().read(query)).rejects.toMatchObject({ code: 'CHAIN_CALL_TOO_LARGE' });
  });

  test('ends with its signal and its deadline', async () => {
    const aborted = AbortSignal.abort();
    await expect(
      view().read(
        { address: town.deployed.workerRegistry, abi: workerRegistryAbi, functionName: 'genesis', args: [] },
        aborted,
      ),
    ).rejects.toMatchObject({ code: 'ABORTED' });
    lying.lie = ({ method }) => (method === 'eth_getProof' ? new Promise(() => {}) : undefined);
    const hurried = new ProvenView({ chainId, rpcs: [lying.url], timeoutMs: 300 });
    await expect(statusOf(hurried)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', retry: true });
  });
});

describe('an RPC that lies is refused', () => {
  const genesisRead = { functionName: 'evictionBlockOf', args: [signer] } as const;
  const read = (from = view()) =>
    from.read({ address: town.deployed.workerRegistry, abi: workerRegistryAbi, ...genesisRead });
  const proofLie =
    (change: (proof: ProofJson) => void): Lie =>
    ({ method }, result) => {
      if (method !== 'eth_getProof') return undefined;
      change(result as ProofJson);
      return result;
    };

  test.each<[string, string, Lie]>([
    [
      'about one word of storage',
      'CHAIN_PROOF_INVALID',
      proofLie(({ storageProof }) => {
        for (const part of storageProof) part.value = '0x1';
      }),
    ],
    [
      'about a word, with the proof of another',
      'CHAIN_PROOF_INVALID',
      proofLie(({ storageProof }) => {
        for (const part of storageProof)
          part.proof = part.proof.map((node) => node.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')));
      }),
    ],
    [
      'about a word’s absence',
      'CHAIN_PROOF_INVALID',
      proofLie(({ storageProof }) => {
        for (const part of storageProof) Object.assign(part, { value: '0x0', proof: [] });
      }),
    ],
    [
      'about an account’s absence',
      'CHAIN_PROOF_INVALID',
      proofLie((proof) => Object.assign(proof, { accountProof: [], storageProof: [] })),
    ],
    ['by leaving a node out', 'CHAIN_PROOF_INVALID', proofLie((proof) => proof.accountProof.pop())],
    ['by giving a node too many', 'CHAIN_PROOF_INVALID', proofLie((proof) => proof.accountProof.push('0x80'))],
    ['by giving no slots', 'CHAIN_PROOF_INVALID', proofLie((proof) => proof.storageProof.splice(0))],
    [
      'by giving nodes that are no hex',
      'CHAIN_PROOF_INVALID',
      proofLie((proof) => Object.assign(proof, { accountProof: [7, '0xz'] })),
    ],
    [
      'by giving nodes without end',
      'CHAIN_PROOF_INVALID',
      proofLie((proof) => Object.assign(proof, { accountProof: Array(10_000).fill('0x80') })),
    ],
    ['by answering nothing', 'CHAIN_PROOF_INVALID', ({ method }) => (method === 'eth_getProof' ? null : undefined)],
    [
      'about code',
      'CHAIN_CODE_INVALID',
      ({ method }, result) => (method === 'eth_getCode' ? (result as string).replace(/..$/, '') : undefined),
    ],
    ['about there being code', 'CHAIN_CODE_INVALID', ({ method }) => (method === 'eth_getCode' ? '0x' : undefined)],
    [
      'about a header',
      'CHAIN_HEADER_INVALID',
      ({ method }, result) =>
        method === 'eth_getBlockByHash' ? { ...(result as object), stateRoot: `0x${'77'.repeat(32)}` } : undefined,
    ],
    [
      'about there being a header',
      'CHAIN_HEADER_INVALID',
      ({ method }) => (method === 'eth_getBlockByHash' ? null : undefined),
    ],
  ])('%s', async (_, code, lie) => {
    lying.lie = lie;
    await expect(read()).rejects.toMatchObject({ name: 'ProofError', code });
  });

  test('by a proof of another account, and by one of another block', async () => {
    const other = (await rpc(town.anvil.url, 'eth_getProof', [town.deployed.appRegistry, [], 'latest'])) as ProofJson;
    lying.lie = proofLie((proof) => Object.assign(proof, { accountProof: other.accountProof }));
    await expect(read()).rejects.toMatchObject({ code: 'CHAIN_PROOF_INVALID' });
    const old = (await rpc(town.anvil.url, 'eth_getProof', [town.deployed.workerRegistry, [], '0x1'])) as ProofJson;
    lying.lie = proofLie((proof) => Object.assign(proof, { accountProof: old.accountProof }));
    await expect(read()).rejects.toMatchObject({ code: 'CHAIN_PROOF_INVALID' });
  });

  test('when all of them lie together', async () => {
    const second = await new LyingRpc(town.anvil.url).start();
    const lie = proofLie((proof) => Object.assign(proof, { storageProof: [], accountProof: [] }));
    lying.lie = lie;
    second.lie = lie;
    await expect(read(view(lying.url, second.url))).rejects.toMatchObject({ code: 'CHAIN_PROOF_INVALID' });
    await second.stop();
  });

  test('and another one that does not is enough', async () => {
    lying.lie = proofLie((proof) => Object.assign(proof, { storageProof: [], accountProof: [] }));
    expect(await read(view(lying.url, town.anvil.url))).toBe(0n);
  });

  test('but asked again where it was only making the next block meanwhile', async () => {
    let raced = 0;
    lying.lie = (question, result) => {
      if (question.method !== 'eth_getProof' || raced === 2) return undefined;
      raced += 1;
      return { ...(result as object), accountProof: [] };
    };
    expect(await read()).toBe(0n);
    expect(raced).toBe(2);
  });

  test('when it answers calls: these are not asked', async () => {
    lying.lie = ({ method }) => (method === 'eth_call' ? `0x${'ff'.repeat(32)}` : undefined);
    expect(await read()).toBe(0n);
    expect(lying.asked.map(({ method }) => method)).not.toContain('eth_call');
  });

  test('when its hint is wrong, missing or endless nothing changes', async () => {
    for (const hint of [
      null,
      7,
      { accessList: 7 },
      { accessList: [{ address: '0x1', storageKeys: [] }] },
      { accessList: Array(10_000).fill({}) },
    ]) {
      lying.lie = ({ method }) => (method === 'eth_createAccessList' ? hint : undefined);
      expect(await read()).toBe(0n);
    }
    lying.lie = ({ method }) => {
      if (method === 'eth_createAccessList') throw new Error('no');
      return undefined;
    };
    expect(await read()).toBe(0n);
  });

  test('when it has no proofs, at the start', async () => {
    lying.lie = ({ method }) => {
      if (method === 'eth_getProof') throw { code: -32601, message: 'Method not found' };
      return undefined;
    };
    await expect(view().assertProofs(town.deployed.workerRegistry)).rejects.toMatchObject({ code: 'CHAIN_NO_PROOFS' });
    lying.lie = () => undefined;
    await view().assertProofs(town.deployed.workerRegistry);
    await expect(view().assertProofs(signer)).rejects.toMatchObject({ code: 'CHAIN_NO_CONTRACT' });
  });

  test('when an answer is too large to read', async () => {
    const small = new ProvenView({ chainId, rpcs: [lying.url], maxAnswerBytes: 3_000 });
    await expect(statusOf(small)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
  });
});

describe('blocks', () => {
  test('behind a block are those that its headers name, whatever an RPC says of their numbers', async () => {
    const proven = view();
    const end = await proven.head();
    const honest = await new ChainView({ chainId, rpcs: [town.anvil.url] }).blockAt(2n);
    lying.lie = ({ method }, result) =>
      method === 'eth_getBlockByNumber' ? { ...(result as object), hash: `0x${'66'.repeat(32)}` } : undefined;
    lying.asked = [];
    expect(await proven.blockOn(end, 2n)).toEqual(honest);
    // Numbers that lead nowhere are asked for once in a while, not at each block anew.
    const headers = lying.asked.filter(({ method }) => method === 'eth_getBlockByNumber').length;
    expect(headers).toBeLessThan(Number(end.number) + 64);
    await expect(proven.blockOn(end, end.number + 1n)).rejects.toMatchObject({ code: 'CHAIN_BLOCK_UNKNOWN' });
    await expect(proven.blockAt(2n)).rejects.toMatchObject({ code: 'CHAIN_HEADER_INVALID' });
  });

  test('with events are found on a branch, all of them and no others, also where an RPC hides, invents or changes one', async () => {
    const told = new ChainView({ chainId, rpcs: [town.anvil.url] });
    const end = await told.head();
    const [whole, recent] = [view(), view()];
    let events = 0;
    for (const { address, abi } of town.contracts) {
      const eventNames = abi.flatMap((item) => (item.type === 'event' ? [item.name] : []));
      const query = { address, abi, eventNames, fromBlock: 0n };
      const listed = await told.logsUpTo(query, end);
      expect(await whole.logsUpTo(query, end)).toEqual(listed);
      expect(await recent.logsUpTo({ ...query, fromBlock: end.number - 3n }, end)).toEqual(
        listed.filter(({ blockNumber }) => blockNumber >= end.number - 3n),
      );
      events += listed.length;
    }
    expect(events).toBeGreaterThan(5);
    expect(lying.asked.map(({ method }) => method)).not.toContain('eth_getLogs');
    // Only blocks whose bloom may hold such events are asked for.
    const receipts = lying.asked.filter(({ method }) => method === 'eth_getBlockReceipts').length;
    expect(receipts).toBeLessThan(Number(end.number) * town.contracts.length);
  });

  test('are walked with few questions: many headers at once on new ground, one for each block that has come since', async () => {
    const proven = view();
    const end = await proven.head();
    const query = { address: signer, abi: workerRegistryAbi, eventNames: ['WorkerEnrolled'] };
    const asks = (method: string) => lying.asked.filter((one) => one.method === method).length;
    await proven.logsUpTo({ ...query, fromBlock: 0n }, end);
    expect(asks('eth_getBlockByHash')).toBeLessThan(3 + Number(end.number) / 32);
    await rpc(town.anvil.url, 'evm_mine', []);
    const next = await new ChainView({ chainId, rpcs: [town.anvil.url] }).head();
    lying.asked = [];
    await proven.logsUpTo({ ...query, fromBlock: next.number }, next);
    expect([asks('eth_getBlockByHash'), asks('eth_getBlockByNumber')]).toEqual([1, 0]);
  });

  test.each<[string, (receipts: ReceiptJson[]) => unknown]>([
    ['hides an event', (receipts) => receipts.map((one) => ({ ...one, logs: [] }))],
    ['hides a receipt', (receipts) => receipts.slice(1)],
    ['tells no receipts', () => []],
    ['tells one twice', (receipts) => [...receipts, ...receipts]],
    [
      'changes a worker',
      (receipts) =>
        receipts.map((one) => ({
          ...one,
          logs: one.logs.map((log) => ({ ...log, topics: log.topics.map((topic) => topic.replace(/..$/, '00')) })),
        })),
    ],
    [
      'names another contract',
      (receipts) => receipts.map((one) => ({ ...one, logs: one.logs.map((log) => ({ ...log, address: signer })) })),
    ],
    ['turns a failure round', (receipts) => receipts.map((one) => ({ ...one, status: '0x0' }))],
    ['gives another type', (receipts) => receipts.map((one) => ({ ...one, type: '0x80' }))],
    ['gives no events', (receipts) => receipts.map((one) => ({ ...one, logs: null }))],
    [
      'gives too many topics',
      (receipts) => receipts.map((one) => ({ ...one, logs: [{ topics: Array(5).fill('0x') }] })),
    ],
    ['gives a field of another length', (receipts) => receipts.map((one) => ({ ...one, logsBloom: '0x00' }))],
    ['gives no object', () => [7]],
    ['gives no list', () => null],
  ])('with events are refused from an RPC that %s', async (_, change) => {
    const { workerRegistry: address } = town.deployed;
    const query = { address, abi: workerRegistryAbi, eventNames: ['WorkerEnrolled'], fromBlock: 0n };
    const end = await view().head();
    lying.lie = ({ method }, result) =>
      method === 'eth_getBlockReceipts' ? change(result as ReceiptJson[]) : undefined;
    await expect(view().logsUpTo(query, end)).rejects.toMatchObject({
      name: 'ProofError',
      code: 'CHAIN_RECEIPTS_INVALID',
    });
  });

  test('of another branch are not followed: a header whose parent an RPC changes is refused', async () => {
    const proven = view();
    const end = await proven.head();
    const query = { address: signer, abi: workerRegistryAbi, eventNames: ['WorkerEnrolled'], fromBlock: 0n };
    const other: Hex = `0x${'66'.repeat(32)}`;
    const header = (await rpc(town.anvil.url, 'eth_getBlockByHash', [end.hash, false])) as object;
    lying.lie = ({ method }) => (method === 'eth_getBlockByHash' ? { ...header, parentHash: other } : undefined);
    await expect(view().logsUpTo(query, { number: end.number, hash: other })).rejects.toMatchObject({
      code: 'CHAIN_HEADER_INVALID',
    });
    lying.lie = () => undefined;
    await expect(view().logsUpTo(query, { number: end.number - 1n, hash: end.hash })).rejects.toMatchObject({
      code: 'CHAIN_HEADER_INVALID',
    });
  });

  test('that are pinned are read, whatever an RPC says of their numbers; where the chain is followed they are not', async () => {
    const following = view();
    const deciding = new ProvenView({ chainId, rpcs: [lying.url], shares: following });
    const pinned = await following.head();
    const early = await following.blockAt(1n);
    const query = {
      address: town.deployed.workerRegistry,
      abi: workerRegistryAbi,
      functionName: 'genesis',
      args: [],
    } as const;
    deciding.pin(pinned);
    lying.lie = ({ method }, result) =>
      method === 'eth_getBlockByNumber' ? { ...(result as object), hash: early.hash } : undefined;
    expect(await deciding.read({ ...query, block: pinned.number })).toBe(1_700_000_000n);
    for (const refused of [
      () => following.read({ ...query, block: pinned.number }),
      () => following.blockAt(pinned.number),
      () => deciding.blockAt(pinned.number),
    ])
      await expect(refused()).rejects.toMatchObject({ code: 'CHAIN_HEADER_INVALID' });
    deciding.pin({ number: 4n, hash: pinned.hash });
    await expect(deciding.read({ ...query, block: 4n })).rejects.toMatchObject({ code: 'CHAIN_HEADER_INVALID' });
  });
});

type ProofJson = { accountProof: string[]; storageProof: { value: string; proof: string[] }[] };

function isRead(item: Abi[number]): item is AbiFunction {
  return item.type === 'function' && (item.stateMutability === 'view' || item.stateMutability === 'pure');
}

async function outcome(reading: Promise<unknown>): Promise<unknown> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof CloisterError)) throw error;
    return error.code === 'CHAIN_READ_REVERTED' ? `${error.code} ${error.message}` : error.code;
  }
}

/** Arguments of a kind: nothing, what is on this chain, and what nobody knows. */
function sampleOf(input: AbiParameter, kind: number): unknown {
  if (input.type.endsWith(']'))
    return kind === 0 ? [] : [sampleOf({ ...input, type: input.type.replace(/\[\d*\]$/, '') }, kind)];
  if (input.type === 'tuple')
    return Object.fromEntries(
      (input as { components: readonly AbiParameter[] }).components.map((part) => [part.name, sampleOf(part, kind)]),
    );
  if (input.type === 'address') return [`0x${'00'.repeat(20)}`, town.account.address, signer][kind];
  if (input.type === 'bool') return kind > 0;
  if (input.type === 'string') return ['', 'TD', 'x'.repeat(40)][kind];
  if (input.type === 'bytes') return ['0x', '0x0102', `0x${'ab'.repeat(100)}`][kind];
  const bytes = /^bytes(\d+)$/.exec(input.type)?.[1];
  if (bytes !== undefined) {
    const known = { app: town.app, workerId: town.workerId }[input.name ?? ''] ?? town.app;
    return [`0x${'00'.repeat(32)}`, known, `0x${'5e'.repeat(32)}`][kind]?.slice(0, 2 + 2 * Number(bytes)) as Hex;
  }
  const bits = Number(/\d+$/.exec(input.type)?.[0]);
  return bits <= 48 ? kind : BigInt(kind);
}

type ReceiptJson = {
  readonly logs: { readonly address: Hex; readonly topics: Hex[]; readonly data: Hex }[];
  readonly [field: string]: unknown;
};
