import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeAbiParameters, type Hex, keccak256, parseEther, toHex, zeroAddress } from 'viem';
import {
  type BridgeWorld,
  day,
  deliver,
  type Envelope,
  envelopeIn,
  forged,
  interoperable,
  limits,
  refund,
  type Side,
  sendPha,
  signed,
  supply,
  twoChains,
  wait,
} from '../support/bridgeWorld.ts';
import { refused } from '../support/refused.ts';

const fresh = await twoChains();
const pha = parseEther;
const unlimited = pha('10000000');
const holder = ({ deployer }: Side) => deployer.account.address;
const balance = (side: Side, of = holder(side)) => side.token.read.balanceOf([of]);

/** What t captured members sign for a route's end: any number of transfers of PHA that nobody sent, one behind the other. */
function forgery(to: Side, base: Envelope) {
  let number = base.message.number;
  return (amount: bigint, receiver = to.borrower.account.address): Envelope => {
    const payload = transfer(receiver, receiver, amount);
    number += 1n;
    return forged(to, base, { number, payloadHash: keccak256(payload) }, payload);
  };
}

function transfer(from: Hex, to: Hex, amount: bigint): Hex {
  return encodeAbiParameters([{ type: 'address' }, { type: 'address' }, { type: 'uint256' }], [from, to, amount]);
}

/** Supply, what is outstanding and everything on its way are what was issued, on both chains. */
async function conserved({ home, remote }: BridgeWorld, toRemote: bigint, toHome: bigint): Promise<void> {
  const [atHome, there] = [await home.token.read.totalSupply(), await remote.token.read.totalSupply()];
  const token = await home.viem.getContractAt('PhaToken', home.token.address);
  assert.equal(atHome + (await token.read.outstanding()), supply);
  assert.equal(await token.read.outstandingOf([home.route.address]), supply - atHome);
  assert.equal(await token.read.issuedEver(), supply);
  assert.equal(there + toRemote + toHome, supply - atHome);
}

describe('PHA between chains', () => {
  it('goes out and back to the unit, burnt on one side and minted on the other', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const out = await sendPha(home, pha('1000') + 1n);
    await conserved(world, pha('1000') + 1n, 0n);
    await deliver(world, remote, out);
    assert.equal(await balance(remote), pha('1000') + 1n);
    await conserved(world, 0n, 0n);
    const back = await sendPha(remote, pha('400'));
    await conserved(world, 0n, pha('400'));
    await deliver(world, home, back);
    assert.equal(await balance(home), supply - pha('600') - 1n);
    await conserved(world, 0n, 0n);
  });

  it('waits where it is large, and pays then to anybody’s call, in parts where need be', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const sent = await sendPha(home, pha('7000'));
    await deliver(world, remote, sent);
    assert.equal(await balance(remote), 0n);
    const { left, readyAt, begun } = await remote.route.read.transferOf([sent.id]);
    assert.deepEqual([left, begun], [pha('7000'), false]);
    await refused(remote.route.write.release([sent.id]), 'PhaRouteDelayed', [sent.id, readyAt]);
    await wait(world, day);
    await remote.route.write.release([sent.id], { account: remote.stranger.account });
    // Half the limit at once, the other half in the course of the window.
    assert.equal(await balance(remote), limits.window / 2n);
    await wait(world, day);
    await remote.route.write.release([sent.id]);
    assert.equal(await balance(remote), pha('7000'));
    await refused(remote.route.write.release([sent.id]), 'PhaRouteNothingToPay', [sent.id]);
    await conserved(world, 0n, 0n);
  });

  it('waits where the window is full, and holds none behind it', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const sent: Envelope[] = [];
    for (let count = 0; count < 4; count++) sent.push(await sendPha(home, pha('1900')));
    sent.push(await sendPha(home, pha('1')));
    for (const envelope of sent) await deliver(world, remote, envelope);
    assert.equal(await balance(remote), pha('3801'));
    const [third, fourth] = [sent[2], sent[3]] as [Envelope, Envelope];
    await remote.route.write.release([third.id]);
    const paid = await balance(remote);
    assert.ok(paid > limits.window / 2n && paid < limits.window / 2n + pha('2'));
    await wait(world, day);
    for (const { id } of [third, fourth]) await remote.route.write.release([id]);
    assert.equal(await balance(remote), pha('7601'));
    await conserved(world, 0n, 0n);
  });

  it('is cancelled by the guardian while nothing was paid, and then comes back to who sent it, once', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const sent = await sendPha(home, pha('6000'));
    await deliver(world, remote, sent);
    const { stranger: guardian, owner } = remote;
    await refused(
      remote.route.write.cancelTransfer([sent.id], { account: owner.account }),
      'PhaRouteCallerMayNotCancel',
      [owner.account.address, sent.id],
    );
    await remote.route.write.cancelTransfer([sent.id], { account: guardian.account });
    await refused(remote.route.write.cancelTransfer([sent.id], { account: guardian.account }), 'PhaRouteNothingToPay');
    assert.equal((await remote.bridge.read.arrivalOf([sent.id])).status, 3);
    await refund(world, home, sent);
    await refused(refund(world, home, sent), 'BridgeNotRefundable');
    // It is large, so it waits here too; it is a refund, so the guardian can't take it away.
    await refused(
      home.route.write.cancelTransfer([sent.id], { account: home.stranger.account }),
      'PhaRouteCallerMayNotCancel',
    );
    await wait(world, 2 * day);
    await home.route.write.release([sent.id]);
    await wait(world, day);
    await home.route.write.release([sent.id]);
    assert.equal(await balance(home), supply);
    await conserved(world, 0n, 0n);
  });

  it('is not cancelled by the guardian once a part was paid; what governance cancels then is nobody’s', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const sent = await sendPha(home, pha('6000'));
    await deliver(world, remote, sent);
    await wait(world, day);
    await remote.route.write.release([sent.id]);
    const account = remote.stranger.account;
    await refused(remote.route.write.cancelTransfer([sent.id], { account }), 'PhaRouteCallerMayNotCancel');
    await remote.govern(remote.route, 'cancelTransfer', [sent.id]);
    assert.equal((await remote.bridge.read.arrivalOf([sent.id])).status, 1);
    await conserved(world, pha('1000'), 0n);
  });

  it('refuses what can’t be sent, strangers’ messages, and other senders', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const me = holder(home);
    await refused(home.route.write.send([zeroAddress, pha('1')]), 'PhaRouteReceiverMissing');
    await refused(home.route.write.send([me, pha('1') - 1n]), 'PhaRouteAmountOutOfRange');
    await refused(home.route.write.send([me, 2n ** 96n]), 'PhaRouteAmountOutOfRange');
    await refused(home.route.write.send([me, supply + 1n]), 'ERC20InsufficientBalance');
    const { account } = home.stranger;
    await refused(home.route.write.send([me, pha('1')], { account }), 'ERC20InsufficientAllowance');
    await refused(home.route.write.receiveMessage([toHex(1, { size: 32 }), '0x', '0x']), 'PhaRouteCallerNotBridge', [
      me,
      home.bridge.address,
    ]);
    await refused(home.route.write.messageVoided([toHex(1, { size: 32 }), '0x']), 'PhaRouteCallerNotBridge');
    const base = await sendPha(home, pha('1'));
    await deliver(world, remote, base);
    // A message of anyone to the route, signed as it should be: the route takes those of its other end alone.
    const payload = transfer(me, me, pha('1000'));
    const to = interoperable(remote.chain, remote.route.address);
    const own = await envelopeIn(home, await home.bridge.write.sendMessage([to, payload, []]));
    await deliver(world, remote, own);
    assert.equal((await remote.bridge.read.arrivalOf([own.id])).status, 2);
    await refused(remote.bridge.write.retry([own.message, own.payload]), 'BridgeRecipientFailed');
    // Payloads that no route sends, from the other end by captured members: they fail, whatever they hold.
    let number = 1n;
    for (const bad of [
      '0x',
      transfer(me, zeroAddress, pha('5')),
      transfer(me, zeroAddress, limits.large),
      transfer(me, me, 0n),
      transfer(me, me, 2n ** 96n),
    ] as const) {
      number += 1n;
      const wrong = forged(remote, base, { number, payloadHash: keccak256(bad) }, bad);
      await deliver(world, remote, wrong);
      assert.equal((await remote.bridge.read.arrivalOf([wrong.id])).status, 2);
    }
    assert.equal(await remote.token.read.totalSupply(), pha('1'));
    const remotePha = await remote.viem.getContractAt('RemotePha', remote.token.address);
    for (const call of [remotePha.write.crosschainMint([me, 1n]), remotePha.write.crosschainBurn([me, 1n])])
      await refused(call, 'RemotePhaCallerNotRoute', [me, remote.route.address]);
    assert.equal(await remotePha.read.supportsInterface(['0x33331994']), true);
  });

  it('stops by its guardian; what arrives meanwhile is handed over later', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const sent = await sendPha(home, pha('10'));
    await remote.route.write.stop({ account: remote.stranger.account });
    await deliver(world, remote, sent);
    assert.equal((await remote.bridge.read.arrivalOf([sent.id])).status, 2);
    await refused(remote.route.write.send([holder(remote), pha('1')]), 'GuardedStopped');
    await refused(remote.route.write.release([sent.id]), 'GuardedStopped');
    await remote.govern(remote.route, 'lift', []);
    await remote.bridge.write.retry([sent.message, sent.payload]);
    assert.equal(await balance(remote), pha('10'));
  });

  it('has limits that governance alone sets, within bounds', async () => {
    const { home, guardian } = await fresh();
    const { route, govern, viem, timelock, bridge, token } = home;
    await refused(route.write.setLimits([limits]), 'GovernedCallerNotTimelock');
    await refused(govern(route, 'setLimits', [{ window: unlimited + 1n, large: 1n }]), 'PhaRouteLimitsOutOfRange');
    await refused(govern(route, 'setLimits', [{ window: 10n, large: 6n }]), 'PhaRouteLimitsOutOfRange');
    await govern(route, 'setLimits', [{ window: unlimited, large: unlimited / 2n }]);
    assert.equal(await route.read.payableNow(), 0n);
    const settings = { timelock: timelock.address, bridge: bridge.address, peerRoute: guardian, guardian, limits };
    const deploy = (changes: Partial<typeof settings>, of = token.address) =>
      viem.deployContract('HomePhaRoute', [{ ...settings, ...changes }, of]);
    await refused(deploy({ bridge: guardian }), 'PhaRouteBridgeWithoutCode');
    await refused(deploy({ peerRoute: zeroAddress }), 'PhaRoutePeerMissing');
    await refused(deploy({}, guardian), 'HomePhaRouteTokenWithoutCode');
    await deploy({});
  });
});

describe('PHA, to the unit and the second', () => {
  it('is large from the limit on, and is paid from the second that was said', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const [small, large] = [await sendPha(home, limits.large - 1n), await sendPha(home, limits.large)];
    for (const envelope of [small, large]) await deliver(world, remote, envelope);
    assert.equal(await balance(remote), limits.large - 1n);
    const { readyAt } = await remote.route.read.transferOf([large.id]);
    await remote.connection.networkHelpers.time.setNextBlockTimestamp(readyAt);
    await remote.route.write.release([large.id]);
    assert.equal(await balance(remote), 2n * limits.large - 1n);
  });

  it('drained by the limit of until now when a new one is set', async () => {
    const world = await fresh();
    const { home, remote } = world;
    for (let count = 0; count < 2; count++) await deliver(world, remote, await sendPha(home, pha('1900')));
    await wait(world, day / 4);
    await remote.govern(remote.route, 'setLimits', [{ window: unlimited, large: pha('2000') }]);
    const room = await remote.route.read.payableNow();
    assert.ok(room > unlimited / 2n - pha('2700') && room < unlimited / 2n - pha('2400'), `${room}`);
  });

  it('comes back through a route that runs, later where it was stopped', async () => {
    const world = await fresh();
    const { home } = world;
    const sent = await sendPha(home, pha('10'));
    await home.route.write.stop({ account: home.stranger.account });
    await refused(refund(world, home, sent), 'GuardedStopped');
    await home.govern(home.route, 'lift', []);
    await refund(world, home, sent);
    assert.equal(await balance(home), supply);
  });
});

describe('PHA under captured members', () => {
  it('at home loses no more than went out, and one window’s limit until the stop; the rest waits', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const base = await sendPha(home, pha('3000'));
    await deliver(world, remote, base);
    await wait(world, day);
    await remote.route.write.release([base.id]);
    const genuine = await sendPha(remote, pha('1'));
    await deliver(world, home, genuine);
    const steal = forgery(home, genuine);
    const taken: Envelope[] = [];
    for (let count = 0; count < 4; count++) {
      const next = steal(pha('1500'));
      await deliver(world, home, next);
      taken.push(next);
    }
    // 2,999 were outstanding: one forgery was paid, of the others none fits.
    assert.equal(await balance(home, home.borrower.account.address), pha('1500'));
    const [, second] = taken as [Envelope, Envelope];
    await home.route.write.release([second.id]);
    assert.equal(await balance(home, home.borrower.account.address), pha('2999'));
    await refused(home.route.write.release([second.id]), 'PhaRouteNoRoom');
    // A return above what is outstanding waits until something goes out.
    const rightful = await sendPha(remote, pha('500'));
    await refused(deliver(world, home, rightful), 'BridgeNumberMismatch');
    const token = await home.viem.getContractAt('PhaToken', home.token.address);
    assert.equal((await token.read.totalSupply()) + (await token.read.outstanding()), supply);
  });

  it('lets through at most one window’s limit in any window, until it is stopped', async () => {
    const world = await fresh();
    const { home, remote } = world;
    const base = await sendPha(home, pha('1'));
    await deliver(world, remote, base);
    const steal = forgery(remote, base);
    const thief = remote.borrower.account.address;
    await wait(world, 2 * day);
    const large = steal(pha('1000000'));
    await deliver(world, remote, large);
    const waiting: Envelope[] = [];
    for (let hours = 0; hours < 12; hours++) {
      for (const envelope of [steal(limits.large - 1n), steal(limits.large - 1n)]) {
        await deliver(world, remote, envelope);
        waiting.push(envelope);
      }
      for (const { id } of waiting)
        await remote.route.write
          .release([id])
          .catch((error: Error) => assert.match(error.message, /PhaRoute(NoRoom|NothingToPay)/));
      await wait(world, 7000);
    }
    const stolen = await balance(remote, thief);
    assert.ok(stolen > (limits.window * 9n) / 10n && stolen <= limits.window, `${stolen}`);
    // The stop comes before the large one is paid, and within the delay of a handover.
    const { account } = remote.stranger;
    await remote.bridge.write.stop({ account });
    await remote.route.write.stop({ account });
    await remote.committee.write.stop({ account });
    await wait(world, day);
    await refused(remote.route.write.release([large.id]), 'GuardedStopped');
    await refused(deliver(world, remote, steal(1n)), 'GuardedStopped');
    await remote.route.write.cancelTransfer([large.id], { account });
    assert.equal(await balance(remote, thief), stolen);
    // A void statement for it gives nothing back: it was never sent.
    await refused(refund(world, home, large), 'BridgeNotRefundable');
  });
});

describe('PHA under anything at all', () => {
  const long = process.env.CLOISTER_LONG === '1';
  const seeds = long ? Array.from({ length: 20 }, (_, index) => index + 1) : [1];
  const steps = long ? 400 : 60;
  /** What came of transfers, whichever seed it was. */
  const seen = new Set<string>();
  for (const seed of seeds)
    it(`supply equals to the unit over ${steps} acts in random order (seed ${seed})`, async () => {
      const world = await fresh();
      const { home, remote } = world;
      const random = randomFrom(seed);
      const pick = <T>(of: readonly T[]): T | undefined => of[Math.floor(random() * of.length)];
      type Transfer = { readonly envelope: Envelope; readonly amount: bigint; readonly from: Side; readonly to: Side };
      /** On their way by their state: sent and not taken, taken and waiting, void and not given back. */
      const sent: Record<'out' | 'back', Transfer[]> = { out: [], back: [] };
      let waiting: (Transfer & { readonly at: Side })[] = [];
      let voided: Transfer[] = [];
      const done: Transfer[] = [];
      const note = async (transfer: Transfer, at: Side) => {
        const { left } = await at.route.read.transferOf([transfer.envelope.id]);
        seen.add(left === 0n ? 'paid' : 'waiting');
        if (left !== 0n) waiting.push({ ...transfer, at });
        else done.push(transfer);
      };
      const onTheWay = (way: 'out' | 'back') =>
        [...sent[way], ...voided.filter(({ from }) => from === (way === 'out' ? home : remote))].reduce(
          (sum, { amount }) => sum + amount,
          0n,
        );
      const queued = async (side: Side) => {
        let sum = 0n;
        for (const { envelope, at } of waiting)
          if (at === side) sum += (await at.route.read.transferOf([envelope.id])).left;
        return sum;
      };
      const acts = {
        send: async () => {
          const way = random() < 0.6 ? 'out' : 'back';
          const [from, to] = way === 'out' ? ([home, remote] as const) : ([remote, home] as const);
          const held = await balance(from);
          const amount = pha('1') + BigInt(Math.floor(random() * 4e15)) * 1_000_003n;
          if (held < amount) return;
          sent[way].push({ envelope: await sendPha(from, amount), amount, from, to });
        },
        deliver: async () => {
          const way = random() < 0.5 ? 'out' : 'back';
          const next = sent[way].shift();
          if (next === undefined) return;
          await deliver(world, next.to, next.envelope);
          const { status } = await next.to.bridge.read.arrivalOf([next.envelope.id]);
          if (status === 3) seen.add('expired');
          if (status === 3) voided.push(next);
          else await note(next, next.to);
        },
        again: async () => {
          const known = pick([...done, ...waiting, ...voided]);
          if (known !== undefined) await refused(deliver(world, known.to, known.envelope), 'BridgeNumberMismatch');
        },
        early: async () => {
          const behind = pick([...sent.out.slice(1), ...sent.back.slice(1)]);
          if (behind !== undefined) await refused(deliver(world, behind.to, behind.envelope), 'BridgeNumberMismatch');
        },
        forge: async () => {
          const next = sent.out[0] ?? sent.back[0];
          if (next === undefined) return;
          const payload = transfer(holder(home), holder(home), next.amount + 1n);
          const { message } = forged(next.to, next.envelope, { payloadHash: keccak256(payload) }, payload);
          const proof = await signed(world, next.envelope.id);
          await refused(next.to.bridge.write.deliver([message, payload, proof]), 'BridgeNotSigned');
        },
        release: async () => {
          const known = pick(waiting);
          if (known === undefined) return;
          const { id } = known.envelope;
          await known.at.route.write.release([id]).catch(() => undefined);
          if ((await known.at.route.read.transferOf([id])).left !== 0n) return;
          waiting = waiting.filter((other) => other !== known);
          done.push(known);
        },
        cancel: async () => {
          const known = pick(waiting);
          if (known === undefined) return;
          const { begun, isRefund } = await known.at.route.read.transferOf([known.envelope.id]);
          if (begun || isRefund) return;
          await known.at.route.write.cancelTransfer([known.envelope.id], { account: known.at.stranger.account });
          waiting = waiting.filter((other) => other !== known);
          voided.push(known);
          seen.add('cancelled');
        },
        refund: async () => {
          const known = pick(voided);
          if (known === undefined) return;
          await refund(world, known.from, known.envelope);
          seen.add('refunded');
          voided = voided.filter((other) => other !== known);
          await note(known, known.from);
        },
        wait: async () => wait(world, Math.floor(random() * (random() < 0.1 ? 4 * day : day / 4))),
      };
      const names = [
        'send',
        'send',
        'send',
        'deliver',
        'deliver',
        'deliver',
        ...Object.keys(acts),
      ] as (keyof typeof acts)[];
      for (let step = 0; step < steps; step++) {
        await acts[pick(names) ?? 'send']();
        const there = (await queued(remote)) + onTheWay('out');
        await conserved(world, there, (await queued(home)) + onTheWay('back'));
      }
      assert.ok(done.length > 0);
    });

  it('and every way of a transfer was among them', () => {
    const all = ['cancelled', 'expired', 'paid', 'refunded', 'waiting'];
    assert.deepEqual([...seen].sort(), long ? all : all.filter((what) => what === 'paid' || seen.has(what)));
  });
});

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
