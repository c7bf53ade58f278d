import assert from 'node:assert/strict';
import { bridgeAbi, CommitteeReader, SentMessages, setEligibleCall } from '@cloister/chain';
import {
  type BridgeMessage,
  type BridgeStatement,
  type Bytes32,
  bridgeStatementDigest,
  bridgeStatementToJson,
  committeeProof,
  type Hex,
  parseSignedBridgeStatement,
} from '@cloister/core';
import { fromHex, generateSecp256k1, signDigest, toHex } from '@cloister/crypto';
import { type BridgeTransfer, gatherBridgeProof, type LinkChains } from '@cloister/sdk';
import { parseEther } from 'viem';
import type { Scenario } from '../scenario.ts';
import { accountsOf } from '../support/accounts.ts';
import { clientOf } from '../support/apps.ts';
import { ChainControl } from '../support/chainControl.ts';
import { partOf } from '../support/processes.ts';
import { cloisterJson } from '../support/programs.ts';
import { SecondChain } from '../support/secondChain.ts';
import { until } from '../support/until.ts';

/** The least that differs between the clocks of two chains, beyond which a message of three days has expired. */
const lifetimeSeconds = 3 * 86_400;
const handoverSeconds = 25 * 3_600;

export const scenario: Scenario = {
  title:
    'PHA goes to a second chain and back, to the unit: proofs of too few, forged, repeated and reordered ones are refused, the committee changes on the way, blocks are taken back, and what expires is given back once',
  needs: 'own-network',
  onlyLong: true,
  timeoutMs: 300_000,
  async run({ startNetwork, folder, note, signal }) {
    const network = await startNetwork({ args: ['--workers', '1', '--second-chain'] });
    const accounts = accountsOf(network);
    const { developer } = accounts;
    const chain = new SecondChain(network);
    const { link } = chain;
    const client = clientOf(network);
    const { bridges } = client;
    const chains: LinkChains = bridges.chains();
    const command = async <T>(...args: readonly string[]): Promise<T> => {
      const { code, json } = await cloisterJson<T>([...args, '--network', network.file], folder, signal);
      assert.equal(code, 0, JSON.stringify(json));
      return json;
    };
    const send = (amount: number) =>
      bridges.send({ amount: parseEther(`${amount}`), account: developer.privateKey, signal });
    const stepOf = async (id: Bytes32) => (await bridges.transfer(id, signal)).progress.step;
    const arrives = (id: Bytes32, step: BridgeTransfer['progress']['step'] = 'delivered') =>
      until(`${id} is ${step}`, async () => (await stepOf(id)) === step, { signal, withinMs: 60_000, everyMs: 500 });
    const isWhole = async (out: number) => {
      assert.equal(await chain.outstanding(), parseEther(`${out}`));
      assert.equal(await chain.supply('remote'), parseEther(`${out}`));
      const { supply } = await client.reconcile(signal);
      assert.deepEqual([supply.holds, supply.outstanding], [true, parseEther(`${out}`)]);
    };
    const pause = (names: readonly string[], how: 'SIGSTOP' | 'SIGCONT') => {
      for (const name of names) process.kill(partOf(network.pid, name) as number, how);
    };
    const all = [0, 1, 2, 3].map((index) => `gatekeeper-${index}`);
    const two = all.slice(2);

    note('out by the command line, and back');
    const before = await chain.balance('home', developer);
    const out = await command<{ id: Bytes32 }>('bridge', 'send', '100');
    await arrives(out.id);
    assert.equal(await chain.balance('home', developer), before - parseEther('100'));
    assert.equal(await chain.balance('remote', developer), parseEther('100'));
    await isWhole(100);
    const back = await command<{ id: Bytes32; direction: string }>('bridge', 'back', '40');
    assert.equal(back.direction, 'back');
    await arrives(back.id);
    assert.equal(await chain.balance('home', developer), before - parseEther('60'));
    await isWhole(60);
    assert.equal((await command<readonly unknown[]>('bridge', 'list')).length, 2);

    note('with two gatekeepers away nothing is signed by enough, and nothing else is taken');
    pause(two, 'SIGSTOP');
    const sent = [await send(3), await send(4)] as const;
    await until('it is final', async () => (await stepOf(sent[0].id)) === 'final', { signal, everyMs: 500 });
    const messages = await messagesOf(chains, signal);
    const [first, second] = sent.map(({ id }) => messages.get(id) as Sent) as [Sent, Sent];
    const asked = { statement: 'message', link: link.chainId, from: 'home' } as const;
    const gathered = await gatherBridgeProof(chains, { ...asked, message: first.message }, { fetch, timeoutMs: 4_000 });
    assert.deepEqual([gathered.have, gathered.need, gathered.proof], [2, 3, undefined]);
    const { signers } = await chain.mirror.current();
    const endpoints = await chains.committee.endpointsOf(signers);
    const signatures = new Map<Hex, Hex>();
    for (const [signer, url] of [...endpoints].slice(0, 4)) {
      const signed = await ask(url, { ...asked, message: first.message }).catch(() => undefined);
      if (signed !== undefined) signatures.set(signer as Hex, signed);
    }
    assert.equal(signatures.size, 2);
    const carrier = chain.account('remote', accounts.deployer);
    const deliver = ({ message, payload }: Sent, proof: Hex) =>
      carrier.write({
        address: link.remote.bridge,
        abi: bridgeAbi,
        functionName: 'deliver',
        args: [message, payload, proof],
      });
    const refused = (errorName: string, work: Promise<unknown>) =>
      assert.rejects(work, (error: { meta?: { errorName?: string } }) => error.meta?.errorName === errorName);
    const tooFew = committeeProof(signers, 2, signatures) as Hex;
    await refused('BridgeNotSigned', deliver(first, tooFew));
    const digest = bridgeStatementDigest(network.network, link, { ...asked, message: first.message });
    const missing = signers.find((signer) => !signatures.has(signer)) as Hex;
    const madeUp = new Map(signatures).set(missing, toHex(signDigest(generateSecp256k1(), fromHex(digest))));
    await refused('BridgeNotSigned', deliver(first, committeeProof(signers, 3, madeUp) as Hex));
    await refused('BridgeNumberMismatch', deliver(second, tooFew));
    pause(two, 'SIGCONT');
    await arrives(sent[1].id);
    assert.equal(await stepOf(sent[0].id), 'delivered');
    const whole = await gatherBridgeProof(chains, { ...asked, message: first.message }, { fetch });
    await refused('BridgeNumberMismatch', deliver(first, whole.proof as Hex));
    const forged = { ...first.message, recipient: developer.address };
    const gather = (statement: 'message' | 'void', message: BridgeMessage) =>
      gatherBridgeProof(chains, { ...asked, statement, message }, { fetch });
    const refusals = await until(
      'all say that a forged one was never sent',
      async () => {
        const { have, refusals } = await gather('message', forged);
        assert.equal(have, 0);
        return refusals.every(({ code }) => code === 'BRIDGE_NOT_SENT') && refusals;
      },
      { signal, everyMs: 500 },
    );
    assert.equal(refusals.length, 4);
    assert.equal((await gather('void', first.message)).have, 0);
    await isWhole(67);

    note('a block of the second chain is taken back, and what was sent in it');
    const taken = await bridges.back({ amount: parseEther('5'), account: developer.privateKey, signal });
    assert.equal(taken.progress.step, 'sent');
    await chain.rpc('anvil_reorg', 2, []);
    await until('it was never sent', async () => (await chain.ends.remote.sentState(taken.id)) === 'none', { signal });
    await chain.mine(6);
    const instead = await bridges.back({ amount: parseEther('7'), account: developer.privateKey, signal });
    await arrives(instead.id);
    await assert.rejects(bridges.transfer(taken.id, signal), { code: 'BRIDGE_TRANSFER_UNKNOWN' });
    await isWhole(60);

    note('a large one waits for a day, and is paid without anybody’s doing then');
    const large = await send(2_500);
    await arrives(large.id, 'delayed');

    note('a member leaves: those that were sign on for the other chain until it knows');
    const control = new ChainControl(network);
    const committee = new CommitteeReader(chain.ends.home.view, network.network.contracts);
    const left = (await client.committee.status()).generation.members.at(-1);
    assert.ok(left !== undefined);
    await control.govern(setEligibleCall(network.network.contracts.gatekeeperCommittee, left.operator, false));
    await until(
      'three are the committee',
      async () => {
        const { number } = await committee.view.finalized();
        return (await committee.status(number)).generation.members.length === 3;
      },
      { signal, withinMs: 90_000, everyMs: 1_000 },
    );
    const during = await send(8);
    await arrives(during.id);
    await until('the handover is announced', async () => (await chain.mirror.announced()) !== undefined, {
      signal,
      withinMs: 60_000,
      everyMs: 1_000,
    });
    assert.equal((await chain.mirror.current()).signers.length, 4);
    await chain.passSeconds(handoverSeconds);
    assert.equal((await chain.mirror.current()).signers.length, 3);
    const after = await send(9);
    await arrives(after.id);
    // Its day is over by then.
    await arrives(large.id);
    await isWhole(60 + 8 + 9 + 2_500);

    note('what expires on its way is given back, once');
    pause(all, 'SIGSTOP');
    const late = await send(11);
    await until('it is final', async () => (await stepOf(late.id)) === 'final', { signal, everyMs: 500 });
    const poorer = await chain.balance('home', developer);
    await chain.passSeconds(lifetimeSeconds);
    assert.equal(await stepOf(late.id), 'expired');
    pause(all, 'SIGCONT');
    await arrives(late.id, 'refunded');
    assert.equal(await chain.balance('home', developer), poorer + parseEther('11'));
    const { message, payload } = (await messagesOf(chains, signal)).get(late.id) as Sent;
    const again = await gatherBridgeProof(chains, { ...asked, statement: 'void', message }, { fetch });
    const home = chain.account('home', accounts.deployer);
    const refund = { address: link.home.bridge, abi: bridgeAbi, functionName: 'refund' } as const;
    // The statement still holds, and is signed as before.
    if (again.proof !== undefined)
      await refused('BridgeNotRefundable', home.write({ ...refund, args: [message, payload, again.proof] }));
    await refused('BridgeNotRefundable', home.write({ ...refund, args: [message, payload, '0x'] }));
    await isWhole(60 + 8 + 9 + 2_500);

    note(
      'the second chain takes back what was final: what comes next has a number that is another’s, and is given back',
    );
    const undo = async () => {
      const snapshot = await chain.rpc('evm_snapshot');
      const undone = await bridges.back({ amount: parseEther('5'), account: developer.privateKey, signal });
      await arrives(undone.id);
      assert.equal(await chain.rpc('evm_revert', snapshot), true);
      // Beyond where it was: whoever reads it takes no chain that goes back.
      await chain.mine(120);
      return undone.number;
    };
    const number = await undo();
    const next = await bridges.back({ amount: parseEther('6'), account: developer.privateKey, signal });
    assert.equal(next.number, number);
    await arrives(next.id, 'refunded');
    // What home paid, the other chain no longer knows of; nothing else differs, and home pays no more than what went out.
    assert.equal((await chain.supply('remote')) - (await chain.outstanding()), parseEther('5'));
  },
};

type Sent = Awaited<ReturnType<typeof messagesOf>> extends Map<unknown, infer one> ? one : never;

/** What was sent from home, by id. */
async function messagesOf(chains: LinkChains, signal: AbortSignal) {
  const found = new Map<Bytes32, { readonly message: BridgeMessage; readonly payload: Hex }>();
  const messages = new SentMessages((sent) => found.set(sent.id, sent));
  const { view, bridge } = chains.home;
  const query = { address: bridge, abi: bridgeAbi, eventNames: SentMessages.eventNames, fromBlock: 0n };
  for (const log of await view.logsUpTo(query, await view.head(signal), signal)) messages.see(log);
  return found;
}

/** One member's signature. */
async function ask(url: string, statement: BridgeStatement): Promise<Hex> {
  const response = await fetch(`${url}/v1/bridges`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(bridgeStatementToJson(statement)),
    signal: AbortSignal.timeout(4_000),
  });
  return parseSignedBridgeStatement(await response.json()).signature;
}
