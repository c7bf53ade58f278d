import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFunctionData, type Hex, keccak256, parseEther, stringToHex, toHex, zeroAddress } from 'viem';
import {
  type BridgeWorld,
  day,
  deliver,
  type Envelope,
  envelopeIn,
  forged,
  interoperable,
  lifetime,
  messageDigest,
  refund,
  type Side,
  sendPha,
  signed,
  twoChains,
  voidDigest,
  wait,
} from '../support/bridgeWorld.ts';
import { handOver, join, proofOf } from '../support/committeeWorld.ts';
import { refused } from '../support/refused.ts';
import { signerOf } from '../support/world.ts';

const fresh = await twoChains();
const pha = parseEther;
const status = { none: 0, delivered: 1, failed: 2, void: 3 } as const;
const mode = { take: 0, revert: 1, burnGas: 2, longAnswer: 3, longRevert: 4, wrongAnswer: 5, reenter: 6 } as const;
/** The chains' clocks differ by as many seconds as they have made blocks. */
const clockSkew = 60n;
const greeting = stringToHex('a directory root');

const statusOf = async (side: Side, { id }: Envelope) => (await side.bridge.read.arrivalOf([id])).status;

/** Somebody on the other chain whom nothing reaches. */
const zeroish = toHex(0xdead, { size: 20 });

/** A message that an account sends from the other chain, and that nobody delivers. */
async function sentBack(from: Side, to: Side) {
  const args = [interoperable(to.chain, zeroish), greeting, []] as const;
  return envelopeIn(from, await from.bridge.write.sendMessage(args));
}

/** A recipient on the other chain, and what sends it messages from home. */
async function withRecipient() {
  const world = await fresh();
  const { home, remote } = world;
  const recipient = await remote.viem.deployContract('UnsafeBridgeRecipient', []);
  const send = async (payload: Hex = greeting, by = home.deployer) =>
    envelopeIn(
      home,
      await home.bridge.write.sendMessage([interoperable(remote.chain, recipient.address), payload, []], {
        account: by.account,
      }),
    );
  return { ...world, world, recipient, send };
}

describe('Bridge, sending', () => {
  it('numbers each sender’s messages by themselves and says all that the committee signs', async () => {
    const { home, remote, recipient, send } = await withRecipient();
    const [first, second, other] = [await send(), await send(), await send(greeting, home.owner)];
    assert.deepEqual([first.message.number, second.message.number, other.message.number], [1n, 2n, 1n]);
    assert.notEqual(first.message.route, other.message.route);
    assert.equal(first.message.payloadHash, keccak256(greeting));
    assert.equal(first.message.recipient.toLowerCase(), recipient.address);
    for (const { id, message } of [first, second, other]) {
      assert.equal(id, messageDigest(remote.chain, remote.bridge.address, message));
      assert.equal(id, await remote.bridge.read.arrivalId([message]));
      assert.equal(
        await home.bridge.read.voidDigest([message]),
        voidDigest(home.chain, home.bridge.address, { id, message, payload: greeting }),
      );
      assert.equal(await home.bridge.read.sentStatus([id]), 1);
    }
    assert.equal(await home.bridge.read.sentCount([home.deployer.account.address]), 2n);
  });

  it('refuses values, attributes, other chains, no recipient and large payloads', async () => {
    const { home, remote, recipient } = await withRecipient();
    const to = interoperable(remote.chain, recipient.address);
    const { write } = home.bridge;
    await refused(write.sendMessage([to, greeting, []], { value: 1n }), 'BridgeValueUnsupported', [1]);
    await refused(write.sendMessage([to, greeting, ['0x01020304ff']]), 'UnsupportedAttribute', ['0x01020304']);
    assert.equal(await home.bridge.read.supportsAttribute(['0x01020304']), false);
    const elsewhere = interoperable(1, recipient.address);
    await refused(write.sendMessage([elsewhere, greeting, []]), 'BridgeRecipientChainMismatch', [remote.chain, 1]);
    const nobody = interoperable(remote.chain, zeroAddress);
    await refused(write.sendMessage([nobody, greeting, []]), 'BridgeRecipientMissing');
    await write.sendMessage([to, toHex(0, { size: 8192 }), []]);
    await refused(write.sendMessage([to, toHex(0, { size: 8193 }), []]), 'BridgePayloadTooLarge', [8193, 8192]);
  });
});

describe('Bridge, arriving', () => {
  it('hands a message to any contract, with its sender by ERC-7930', async () => {
    const { world, home, remote, recipient, send } = await withRecipient();
    const sent = await send();
    await deliver(world, remote, sent);
    assert.deepEqual(
      [await recipient.read.taken(), await recipient.read.lastId(), await recipient.read.lastPayload()],
      [1n, sent.id, greeting],
    );
    assert.equal(await recipient.read.lastSender(), interoperable(home.chain, home.deployer.account.address));
    assert.equal(await statusOf(remote, sent), status.delivered);
  });

  it('takes each message once and in its sender’s order', async () => {
    const { world, home, remote, recipient, send } = await withRecipient();
    const [first, second, other] = [await send(), await send(), await send(greeting, home.owner)];
    await refused(deliver(world, remote, second), 'BridgeNumberMismatch', [1, 2]);
    await deliver(world, remote, other);
    await deliver(world, remote, first);
    await refused(deliver(world, remote, first), 'BridgeNumberMismatch', [2, 1]);
    await deliver(world, remote, second);
    await refused(deliver(world, remote, second), 'BridgeNumberMismatch', [3, 2]);
    assert.equal(await recipient.read.taken(), 3n);
  });

  it('refuses what fewer than t signed, what was changed, and what was signed for another bridge', async () => {
    const { world, home, remote, send } = await withRecipient();
    const sent = await send();
    const { message, payload, id } = sent;
    const { write } = remote.bridge;
    await refused(write.deliver([message, payload, await signed(world, id, 2)]), 'BridgeNotSigned', [id]);
    await refused(write.deliver([message, payload, '0x']), 'BridgeNotSigned', [id]);
    await refused(write.deliver([message, payload, await proofOf(id, { 0: 1, 1: 2, 2: 99 })]), 'BridgeNotSigned');
    await refused(write.deliver([message, payload, await proofOf(id, { 0: 1, 1: 1, 2: 1 })]), 'BridgeNotSigned');
    for (const wrong of [
      messageDigest(home.chain, remote.bridge.address, message),
      messageDigest(remote.chain, home.bridge.address, message),
    ])
      await refused(write.deliver([message, payload, await signed(world, wrong)]), 'BridgeNotSigned', [id]);
    for (const changes of [{ expiry: message.expiry + 1n }, { recipient: home.owner.account.address }])
      await refused(write.deliver([{ ...message, ...changes }, payload, await signed(world, id)]), 'BridgeNotSigned');
    await refused(deliver(world, remote, { ...sent, payload: '0x01' }), 'BridgePayloadMismatch', [
      message.payloadHash,
      keccak256('0x01'),
    ]);
    // t captured members can sign anything, yet not on a route that is another sender's.
    const another = forged(remote, sent, { sender: home.owner.account.address });
    await refused(deliver(world, remote, another), 'BridgeRouteMismatch');
    const elsewhere = forged(remote, sent, { route: toHex(7, { size: 32 }) });
    await refused(deliver(world, remote, elsewhere), 'BridgeRouteMismatch', [message.route, elsewhere.message.route]);
    // What goes out does not come in at the same end.
    await refused(deliver(world, home, sent), 'BridgeRouteMismatch');
    await deliver(world, remote, sent);
  });

  it('after a reorganisation takes the number once, and gives back what was left out', async () => {
    const { world, home, remote, recipient, send } = await withRecipient();
    const snapshot = await home.connection.networkHelpers.takeSnapshot();
    const abandoned = await send('0x0a');
    await snapshot.restore();
    const kept = await send('0x0b');
    assert.equal(kept.message.number, abandoned.message.number);
    await deliver(world, remote, abandoned);
    await refused(deliver(world, remote, kept), 'BridgeNumberMismatch', [2, 1]);
    assert.equal(await recipient.read.taken(), 1n);
    // Its number is another's, so it can never arrive: members sign that, and of the abandoned one nothing is known at home.
    await refused(refund(world, home, abandoned), 'BridgeNotRefundable', [abandoned.id, 0]);
    await refund(world, home, kept);
    await refused(refund(world, home, kept), 'BridgeNotRefundable', [kept.id, 2]);
  });

  it('goes on with the committee of now for what an earlier one signed', async () => {
    const { world, home, remote } = await withRecipient();
    // Out to the other chain before, back home after: the committee at home has a new member by then.
    const out = await sendPha(home, pha('100'));
    await deliver(world, remote, out);
    const back = await sendPha(remote, pha('40'));
    const old = await signed(world, back.id);
    await join(world.members, 0, { seed: 9 });
    await handOver(world.members, { newSigners: { 0: 9, 1: 2, 2: 3 } });
    await refused(home.bridge.write.deliver([back.message, back.payload, old]), 'BridgeNotSigned', [back.id]);
    await home.bridge.write.deliver([back.message, back.payload, await proofOf(back.id, { 0: 9, 1: 2, 2: 3 })]);
    assert.equal(await statusOf(home, back), status.delivered);
    // The other chain knows the old members until it is told, and a day more.
    const next = { generation: 2n, threshold: 3, signers: [9, 2, 3, 4].map((seed) => signerOf(seed).address) };
    const digest = await remote.committee.read.handoverDigest([next]);
    const held = await proofOf(digest, { 0: 9, 1: 2, 2: 3 });
    await remote.committee.write.handOver([next, await signed(world, digest), held]);
    const [second, third] = [await sendPha(home, pha('1')), await sendPha(home, pha('2'))];
    await deliver(world, remote, second);
    const early = await signed(world, third.id);
    await wait(world, day + 3600);
    await refused(remote.bridge.write.deliver([third.message, third.payload, early]), 'BridgeNotSigned');
    await remote.bridge.write.deliver([third.message, third.payload, await proofOf(third.id, { 0: 9, 1: 2, 2: 3 })]);
  });
});

describe('Bridge, expired', () => {
  it('voids a message that comes too late, and holds none behind it', async () => {
    const { world, home, remote, recipient, send } = await withRecipient();
    const late = await send();
    await wait(world, lifetime + clockSkew);
    const next = await send();
    await refused(deliver(world, remote, next), 'BridgeNumberMismatch', [1, 2]);
    // Expiry alone refunds nothing.
    await refused(home.bridge.write.refund([late.message, late.payload, '0x']), 'BridgeNotSigned');
    await deliver(world, remote, late);
    assert.equal(await statusOf(remote, late), status.void);
    await deliver(world, remote, next);
    assert.equal(await recipient.read.taken(), 1n);
    await refused(remote.bridge.write.retry([late.message, late.payload]), 'BridgeMessageExpired');
    await refused(
      remote.govern(remote.bridge, 'revive', [late.message, late.payload, await signed(world, late.id)]),
      'BridgeStatusMismatch',
      [late.id, status.failed, status.void],
    );
    await refund(world, home, late);
  });

  it('is revived by governance alone, with the committee’s proof, and then is not void', async () => {
    const { world, remote, recipient, send } = await withRecipient();
    const late = await send();
    await wait(world, lifetime + clockSkew);
    const proof = await signed(world, late.id);
    const caller = remote.deployer.account.address;
    await refused(remote.bridge.write.revive([late.message, late.payload, proof]), 'GovernedCallerNotTimelock', [
      caller,
      remote.timelock.address,
    ]);
    await refused(remote.govern(remote.bridge, 'revive', [late.message, late.payload, '0x']), 'BridgeNotSigned');
    await remote.govern(remote.bridge, 'revive', [late.message, late.payload, proof]);
    assert.equal(await statusOf(remote, late), status.delivered);
    assert.equal(await recipient.read.taken(), 1n);
    await refused(remote.bridge.write.expire([late.id]), 'BridgeStatusMismatch');
  });
});

describe('Bridge, to the second', () => {
  it('a message lives until its expiry and no longer', async () => {
    const { world, remote, recipient, send } = await withRecipient();
    const { time } = remote.connection.networkHelpers;
    const [first, second] = [await send('0x01'), await send('0x02')];
    await time.setNextBlockTimestamp(first.message.expiry - 1n);
    await deliver(world, remote, first);
    assert.equal(await statusOf(remote, first), status.delivered);
    await time.setNextBlockTimestamp(second.message.expiry);
    await deliver(world, remote, second);
    assert.equal(await statusOf(remote, second), status.void);
    assert.equal(await recipient.read.taken(), 1n);
  });

  it('a failed one is handed over before its expiry, and void from then on', async () => {
    const { world, remote, recipient, send } = await withRecipient();
    const { time } = remote.connection.networkHelpers;
    const sent = await send();
    await recipient.write.setMode([mode.revert, '0x']);
    await deliver(world, remote, sent);
    const { expiry } = sent.message;
    await time.setNextBlockTimestamp(expiry - 2n);
    await refused(remote.bridge.write.expire([sent.id], { gas: 100_000n }), 'BridgeMessageNotExpired');
    await time.setNextBlockTimestamp(expiry);
    await refused(remote.bridge.write.retry([sent.message, sent.payload], { gas: 900_000n }), 'BridgeMessageExpired');
    await remote.bridge.write.expire([sent.id]);
    assert.equal(await statusOf(remote, sent), status.void);
  });

  it('a stop ends when it says, and governance revives nothing before', async () => {
    const { world, remote, send } = await withRecipient();
    const sent = await send();
    const { bridge, govern, stranger, timelock, publicClient } = remote;
    await bridge.write.stop({ account: stranger.account });
    await refused(
      govern(bridge, 'revive', [sent.message, sent.payload, await signed(world, sent.id)]),
      'GuardedStopped',
    );
    const until = await bridge.read.stoppedUntil();
    const data = encodeFunctionData({ abi: bridge.abi, functionName: 'lift' });
    const lift = { account: timelock.address, to: bridge.address, data } as const;
    await publicClient.call(lift);
    await remote.connection.networkHelpers.time.increaseTo(until);
    await refused(publicClient.call(lift), 'GuardedNotStopped');
    await bridge.write.stop({ account: stranger.account });
  });
});

describe('Bridge, recipients that fail', () => {
  it('notes it, goes on with the next, and hands it over again for anybody until it expires', async () => {
    const { world, remote, recipient, send } = await withRecipient();
    const [first, second] = [await send('0x01'), await send('0x02')];
    await recipient.write.setMode([mode.revert, '0x']);
    await deliver(world, remote, first);
    assert.equal(await statusOf(remote, first), status.failed);
    await refused(remote.bridge.write.retry([first.message, first.payload]), 'BridgeRecipientFailed', [first.id]);
    await recipient.write.setMode([mode.take, '0x']);
    await deliver(world, remote, second);
    await refused(remote.bridge.write.retry([first.message, '0x02']), 'BridgePayloadMismatch');
    await refused(remote.bridge.write.retry([second.message, '0x02']), 'BridgeStatusMismatch');
    await refused(remote.bridge.write.expire([first.id]), 'BridgeMessageNotExpired');
    await remote.bridge.write.retry([first.message, first.payload], { account: remote.borrower.account });
    assert.equal(await statusOf(remote, first), status.delivered);
    assert.equal(await recipient.read.lastPayload(), '0x01');
    await refused(remote.bridge.write.retry([first.message, first.payload]), 'BridgeStatusMismatch');
  });

  it('voids a failed one by anybody once it expired; governance may deliver it until then', async () => {
    const { world, home, remote, recipient, send } = await withRecipient();
    const [first, second] = [await send('0x01'), await send('0x02')];
    await recipient.write.setMode([mode.revert, '0x']);
    for (const message of [first, second]) await deliver(world, remote, message);
    await wait(world, lifetime + clockSkew);
    await refused(remote.bridge.write.retry([first.message, first.payload]), 'BridgeMessageExpired');
    await recipient.write.setMode([mode.take, '0x']);
    await remote.govern(remote.bridge, 'revive', [first.message, first.payload, '0x']);
    await remote.bridge.write.expire([second.id], { account: remote.borrower.account });
    assert.deepEqual(
      [await statusOf(remote, first), await statusOf(remote, second), await recipient.read.taken()],
      [status.delivered, status.void, 1n],
    );
    await refund(world, home, second);
  });

  it('bounds gas and answers, and takes no other answer than the standard’s', async () => {
    const { world, remote, recipient, send } = await withRecipient();
    for (const which of ['burnGas', 'longAnswer', 'longRevert', 'wrongAnswer'] as const) {
      const sent = await send();
      await recipient.write.setMode([mode[which], '0x']);
      const { gasUsed } = await remote.publicClient.getTransactionReceipt({ hash: await deliver(world, remote, sent) });
      assert.equal(await statusOf(remote, sent), status.failed, which);
      assert.ok(gasUsed < 600_000n, `${which} took ${gasUsed} gas`);
    }
    const toNobody = await fresh();
    const account = interoperable(toNobody.remote.chain, toNobody.remote.owner.account.address);
    const sent = await envelopeIn(toNobody.home, await toNobody.home.bridge.write.sendMessage([account, greeting, []]));
    await deliver(toNobody, toNobody.remote, sent);
    assert.equal(await statusOf(toNobody.remote, sent), status.failed);
  });

  it('refuses a delivery with less gas than the recipient may use', async () => {
    const { world, remote, send } = await withRecipient();
    const sent = await send();
    const args = [sent.message, sent.payload, await signed(world, sent.id)] as const;
    await refused(remote.bridge.write.deliver(args, { gas: 450_000n }), 'BridgeGasTooLow');
    await remote.bridge.write.deliver(args, { gas: 700_000n });
    assert.equal(await statusOf(remote, sent), status.delivered);
  });

  it('lets no recipient reenter', async () => {
    const { world, remote, recipient, send } = await withRecipient();
    const [first, second] = [await send('0x01'), await send('0x02')];
    const { abi } = remote.bridge;
    const inside = [
      encodeFunctionData({
        abi,
        functionName: 'deliver',
        args: [second.message, second.payload, await signed(world, second.id)],
      }),
      encodeFunctionData({ abi, functionName: 'refuse', args: [first.id] }),
      encodeFunctionData({ abi, functionName: 'retry', args: [first.message, first.payload] }),
    ];
    await recipient.write.setMode([mode.reenter, inside[0] ?? '0x']);
    await deliver(world, remote, first);
    assert.equal(await statusOf(remote, first), status.failed);
    for (const call of inside) {
      await recipient.write.setMode([mode.reenter, call]);
      await refused(remote.bridge.write.retry([first.message, first.payload]), 'BridgeRecipientFailed');
    }
    assert.equal(await recipient.read.taken(), 0n);
    assert.equal(await statusOf(remote, second), status.none);
  });

  it('lets none reenter what is delivered late, nor expire, refund or revive meanwhile; alone each goes through', async () => {
    const { world, home, remote, recipient, send } = await withRecipient();
    const { bridge, timelock } = remote;
    const { abi } = bridge;
    const [old, revived] = [await send('0x01'), await send('0x02')];
    await recipient.write.setMode([mode.revert, '0x']);
    for (const envelope of [old, revived]) await deliver(world, remote, envelope);
    // Younger than those that have failed for good by then.
    await wait(world, lifetime - BigInt(day));
    const [outer, next] = [await send('0x03'), await send('0x04')];
    await deliver(world, remote, outer);
    await wait(world, BigInt(day) + clockSkew);
    const sent = await sentBack(remote, home);
    const role = keccak256(stringToHex('EXECUTOR_ROLE'));
    await remote.govern(timelock, 'grantRole', [role, zeroAddress]);
    const revive = encodeFunctionData({
      abi,
      functionName: 'revive',
      args: [revived.message, revived.payload, '0x'],
    });
    const operation = [bridge.address, 0n, revive, toHex(0, { size: 32 }), toHex(7, { size: 32 })] as const;
    await timelock.write.schedule([...operation, 0n]);
    const inside = [
      { target: bridge.address, data: encodeFunctionData({ abi, functionName: 'expire', args: [old.id] }) },
      {
        target: bridge.address,
        data: encodeFunctionData({
          abi,
          functionName: 'refund',
          args: [sent.message, sent.payload, await signed(world, voidDigest(remote.chain, bridge.address, sent))],
        }),
      },
      {
        target: timelock.address,
        data: encodeFunctionData({ abi: timelock.abi, functionName: 'execute', args: [...operation] }),
      },
    ];
    for (const { target, data } of inside) {
      await recipient.write.setTarget([target]);
      await recipient.write.setMode([mode.reenter, data]);
      await refused(bridge.write.retry([outer.message, outer.payload]), 'BridgeRecipientFailed', [outer.id]);
    }
    await recipient.write.setTarget([zeroAddress]);
    // While it is governance that delivers, too.
    const deliverNext = encodeFunctionData({
      abi,
      functionName: 'deliver',
      args: [next.message, next.payload, await signed(world, next.id)],
    });
    await recipient.write.setMode([mode.reenter, deliverNext]);
    await refused(timelock.write.execute([...operation]), 'BridgeRecipientFailed', [revived.id]);
    assert.equal(await recipient.read.taken(), 0n);

    await recipient.write.setMode([mode.take, '0x']);
    await bridge.write.expire([old.id]);
    await refund(world, remote, sent);
    await timelock.write.execute([...operation]);
    await deliver(world, remote, next);
    assert.deepEqual(
      [await statusOf(remote, old), await statusOf(remote, revived), await statusOf(remote, next)],
      [status.void, status.delivered, status.delivered],
    );
  });

  it('lets a recipient alone refuse what it was given', async () => {
    const { world, home, remote, recipient, send } = await withRecipient();
    const sent = await send();
    await refused(recipient.write.refuse([remote.bridge.address, sent.id]), 'BridgeCallerNotRecipient');
    await deliver(world, remote, sent);
    await refused(remote.bridge.write.refuse([sent.id]), 'BridgeCallerNotRecipient', [
      remote.deployer.account.address,
      recipient.address,
    ]);
    await recipient.write.refuse([remote.bridge.address, sent.id]);
    assert.equal(await statusOf(remote, sent), status.void);
    await refused(recipient.write.refuse([remote.bridge.address, sent.id]), 'BridgeStatusMismatch');
    await refund(world, home, sent);
  });
});

describe('Bridge, refunds', () => {
  it('needs the void statement of t members for this bridge, a message sent from here, and its payload', async () => {
    const { world, home, remote } = await withRecipient();
    const sent = await sendPha(home, pha('10'));
    const { message, payload, id } = sent;
    const digest = voidDigest(home.chain, home.bridge.address, sent);
    const { write } = home.bridge;
    await refused(write.refund([message, payload, await signed(world, digest, 2)]), 'BridgeNotSigned', [digest]);
    for (const wrong of [
      id,
      voidDigest(remote.chain, home.bridge.address, sent),
      voidDigest(home.chain, remote.bridge.address, sent),
    ])
      await refused(write.refund([message, payload, await signed(world, wrong)]), 'BridgeNotSigned', [digest]);
    await refused(write.refund([message, '0x', await signed(world, digest)]), 'BridgePayloadMismatch');
    await refused(refund(world, home, forged(remote, sent, { number: 2n })), 'BridgeNotRefundable');
    await refused(refund(world, remote, sent), 'BridgeNotRefundable');
    await refund(world, home, sent);
    assert.equal(await home.token.read.balanceOf([home.deployer.account.address]), pha('1000000'));
    await refused(refund(world, home, sent), 'BridgeNotRefundable', [id, 2]);
  });

  it('lets no sender reenter that takes its payload back', async () => {
    const { world, home, remote, recipient, send } = await withRecipient();
    const { bridge } = remote;
    const hash = await recipient.write.send([bridge.address, interoperable(home.chain, zeroish), greeting]);
    const sent = await envelopeIn(remote, hash);
    const arriving = await send('0x05', home.owner);
    const inside = encodeFunctionData({
      abi: bridge.abi,
      functionName: 'deliver',
      args: [arriving.message, arriving.payload, await signed(world, arriving.id)],
    });
    await recipient.write.setMode([mode.reenter, inside]);
    await refused(refund(world, remote, sent), 'ReentrancyGuardReentrantCall', []);
    assert.equal(await recipient.read.voided(), 0n);
    await recipient.write.setMode([mode.take, '0x']);
    await refund(world, remote, sent);
    await deliver(world, remote, arriving);
    assert.deepEqual([await recipient.read.voided(), await recipient.read.taken()], [1n, 1n]);
  });
});

describe('Bridge, stopped and governed', () => {
  it('stops by its guardian for 30 days, or until governance lifts it', async () => {
    const { world, home, remote, send } = await withRecipient();
    const [first, second] = [await send(), await send()];
    const { bridge, stranger, owner, govern } = remote;
    await refused(bridge.write.stop({ account: owner.account }), 'GuardedCallerMayNotStop', [owner.account.address]);
    await refused(govern(bridge, 'lift', []), 'GuardedNotStopped');
    await bridge.write.stop({ account: stranger.account });
    await refused(bridge.write.stop({ account: stranger.account }), 'GuardedStopped');
    await refused(deliver(world, remote, first), 'GuardedStopped');
    await refused(bridge.write.expire([first.id]), 'GuardedStopped');
    await refused(bridge.write.retry([first.message, first.payload]), 'GuardedStopped');
    await refused(bridge.write.sendMessage(['0x', '0x', []]), 'GuardedStopped');
    await refused(refund(world, remote, first), 'GuardedStopped');
    await refused(bridge.write.lift({ account: stranger.account }), 'GovernedCallerNotTimelock');
    await govern(bridge, 'lift', []);
    await deliver(world, remote, first);
    await bridge.write.stop({ account: stranger.account });
    await wait(world, 30 * day);
    await deliver(world, remote, second);
    assert.equal(await statusOf(remote, second), status.void);
    await refund(world, home, second);
  });

  it('is governed by the timelock alone, within bounds', async () => {
    const { home, guardian } = await fresh();
    const { bridge, govern, viem, timelock, committee } = home;
    const { account } = home.stranger;
    for (const call of [
      bridge.write.setCommittee([committee.address], { account }),
      bridge.write.setLifetime([lifetime], { account }),
      bridge.write.setGuardian([account.address], { account }),
    ])
      await refused(call, 'GovernedCallerNotTimelock', [account.address, timelock.address]);
    await govern(bridge, 'setCommittee', [committee.address]);
    await refused(govern(bridge, 'setCommittee', [account.address]), 'BridgeCommitteeWithoutCode', [account.address]);
    for (const outside of [BigInt(day) - 1n, 60n * BigInt(day) + 1n])
      await refused(govern(bridge, 'setLifetime', [outside]), 'BridgeLifetimeOutOfRange');
    for (const inside of [BigInt(day), 60n * BigInt(day)]) await govern(bridge, 'setLifetime', [inside]);
    await govern(bridge, 'setGuardian', [zeroAddress]);
    await refused(bridge.write.stop({ account }), 'GuardedCallerMayNotStop');
    await govern(bridge, 'stop', []);
    const settings = {
      timelock: timelock.address,
      peerChain: 1n,
      peerBridge: guardian,
      guardian,
      committee: committee.address,
      lifetime,
    };
    const deploy = (changes: Partial<typeof settings>) => viem.deployContract('Bridge', [{ ...settings, ...changes }]);
    await refused(deploy({ peerChain: 0n }), 'BridgePeerMissing');
    await refused(deploy({ peerBridge: zeroAddress }), 'BridgePeerMissing');
    await refused(deploy({ timelock: zeroAddress }), 'GovernedTimelockWithoutCode');
    await refused(deploy({ committee: guardian }), 'BridgeCommitteeWithoutCode');
  });
});

/** The chain's mirrored committee, its handovers, and who may stop them. */
describe('RemoteCommittee', () => {
  const nextOf = (generation: bigint, seeds: readonly number[], threshold = 3) => ({
    generation,
    threshold,
    signers: seeds.map((seed) => signerOf(seed).address),
  });
  const digest = keccak256('0xd16e57');
  const announce = async (
    { remote }: BridgeWorld,
    next: ReturnType<typeof nextOf>,
    previous: Readonly<Record<number, number>> = { 0: 1, 1: 2, 2: 3 },
    held: Readonly<Record<number, number>> = { 0: 11, 1: 12, 2: 13 },
  ) => {
    const signedOver = await remote.committee.read.handoverDigest([next]);
    return remote.committee.write.handOver([
      next,
      await proofOf(signedOver, previous),
      await proofOf(signedOver, held),
    ]);
  };

  it('hands over by the signatures of both, after a delay, to a generation that may skip some', async () => {
    const world = await fresh();
    const { committee } = world.remote;
    const next = nextOf(5n, [11, 12, 13, 14, 15]);
    await announce(world, next);
    assert.deepEqual((await committee.read.announced())[0], next);
    assert.equal((await committee.read.current()).generation, 1n);
    await refused(announce(world, nextOf(6n, [11, 12, 13])), 'RemoteCommitteePending');
    const [before, after] = [
      await proofOf(digest, { 0: 1, 2: 3, 3: 4 }),
      await proofOf(digest, { 0: 11, 3: 14, 4: 15 }),
    ];
    assert.deepEqual(
      [await committee.read.verify([digest, before]), await committee.read.verify([digest, after])],
      [true, false],
    );
    await wait(world, day + 3600);
    await world.remote.connection.networkHelpers.mine();
    assert.deepEqual(
      [await committee.read.verify([digest, before]), await committee.read.verify([digest, after])],
      [false, true],
    );
    assert.deepEqual(await committee.read.current(), next);
    assert.equal((await committee.read.announced())[1], 0n);
    // And on from there, by the new ones alone.
    const third = nextOf(6n, [1, 2, 3]);
    await refused(
      announce(world, third, { 0: 1, 1: 2, 2: 3 }, { 0: 1, 1: 2, 2: 3 }),
      'RemoteCommitteeNotSignedByMembers',
    );
    await announce(world, third, { 0: 11, 1: 12, 2: 13 }, { 0: 1, 1: 2, 2: 3 });
  });

  it('refuses fewer than t of either, older generations, and lists that can’t be', async () => {
    const world = await fresh();
    const next = nextOf(2n, [11, 12, 13, 14]);
    await refused(announce(world, next, { 0: 1, 1: 2 }), 'RemoteCommitteeNotSignedByMembers');
    await refused(announce(world, next, { 0: 1, 1: 2, 2: 13 }), 'RemoteCommitteeNotSignedByMembers');
    await refused(announce(world, next, undefined, { 0: 11, 1: 12 }), 'RemoteCommitteeNotSignedByHolders');
    await refused(announce(world, nextOf(1n, [11, 12, 13, 14])), 'RemoteCommitteeGenerationNotNewer', [1, 1]);
    await refused(announce(world, nextOf(2n ** 40n, [11, 12, 13])), 'RemoteCommitteeGenerationNotNewer');
    await refused(announce(world, nextOf(2n, [11, 12, 13, 14], 2)), 'RemoteCommitteeThresholdOutOfRange', [2, 4]);
    await refused(announce(world, nextOf(2n, [11, 12], 3)), 'RemoteCommitteeThresholdOutOfRange', [3, 2]);
    await refused(announce(world, nextOf(2n, [], 0)), 'RemoteCommitteeThresholdOutOfRange', [0, 0]);
    const many = Array.from({ length: 33 }, (_, index) => index + 20);
    await refused(announce(world, nextOf(2n, many, 17)), 'RemoteCommitteeThresholdOutOfRange', [17, 33]);
    await refused(announce(world, nextOf(2n, [11, 12, 11])), 'RemoteCommitteeSignerInvalid', [signerOf(11).address]);
    await refused(announce(world, nextOf(2n, many.slice(1), 16)), 'RemoteCommitteeThresholdOutOfRange', [16, 32]);
    await refused(announce(world, nextOf(2n, many.slice(1), 17)), 'RemoteCommitteeNotSignedByHolders');
    await refused(announce(world, nextOf(2n ** 40n - 1n, many.slice(1), 17)), 'RemoteCommitteeNotSignedByHolders');
    const zero = { ...nextOf(2n, [11, 12, 13]), signers: [signerOf(11).address, zeroAddress] };
    await refused(announce(world, { ...zero, threshold: 2 }), 'RemoteCommitteeSignerInvalid', [zeroAddress]);
  });

  it('is stopped by its guardian in time: what was announced is gone, what counts stays', async () => {
    const world = await fresh();
    const { remote } = world;
    const { committee, stranger, govern } = remote;
    const captured = nextOf(2n, [11, 12, 13]);
    await announce(world, captured);
    await committee.write.stop({ account: stranger.account });
    assert.equal((await committee.read.announced())[0].generation, 0n);
    await refused(announce(world, captured), 'GuardedStopped');
    await wait(world, day + 3600);
    await remote.connection.networkHelpers.mine();
    assert.equal((await committee.read.current()).generation, 1n);
    assert.equal(await committee.read.verify([digest, await proofOf(digest, { 0: 1, 1: 2, 2: 3 })]), true);
    await govern(committee, 'lift', []);
    await announce(world, captured);
    await wait(world, day + 3600);
    // Too late: what counts no stop takes back.
    await committee.write.stop({ account: stranger.account });
    assert.equal((await committee.read.current()).generation, 2n);
  });

  it('counts from the second that was announced', async () => {
    const world = await fresh();
    const { committee, connection } = world.remote;
    await announce(world, nextOf(2n, [11, 12, 13]));
    const from = (await committee.read.announced())[1];
    await connection.networkHelpers.time.increaseTo(from - 1n);
    assert.equal((await committee.read.current()).generation, 1n);
    assert.equal((await committee.read.announced())[1], from);
    await connection.networkHelpers.time.increaseTo(from);
    assert.equal((await committee.read.current()).generation, 2n);
    assert.equal((await committee.read.announced())[1], 0n);
  });

  it('is named by governance where its members are lost, after the same delay', async () => {
    const world = await fresh();
    const { remote } = world;
    const next = nextOf(2n, [11, 12, 13]);
    const held = await proofOf(await remote.committee.read.handoverDigest([next]), { 0: 11, 1: 12, 2: 13 });
    await refused(remote.committee.write.handOver([next, '0x', held]), 'RemoteCommitteeNotSignedByMembers');
    await remote.govern(remote.committee, 'handOver', [next, '0x', held]);
    assert.equal((await remote.committee.read.current()).generation, 1n);
    await wait(world, day + 3600);
    await remote.connection.networkHelpers.mine();
    assert.equal((await remote.committee.read.current()).generation, 2n);
  });

  it('has a delay longer than the limit window', async () => {
    const { remote, guardian } = await fresh();
    const deploy = (delay: number, seeds: readonly number[] = [1, 2, 3]) =>
      remote.viem.deployContract('RemoteCommittee', [
        remote.timelock.address,
        guardian,
        BigInt(delay),
        nextOf(1n, seeds),
      ]);
    await refused(deploy(day), 'RemoteCommitteeDelayOutOfRange', [day, day, 30 * day]);
    await refused(deploy(30 * day + 1), 'RemoteCommitteeDelayOutOfRange');
    await refused(deploy(day + 1, [1, 2]), 'RemoteCommitteeThresholdOutOfRange', [3, 2]);
    await deploy(day + 1);
    await deploy(30 * day);
  });
});
