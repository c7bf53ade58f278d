import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import {
  type Address,
  concatHex,
  getAddress,
  type Hex,
  keccak256,
  parseEther,
  slice,
  stringToHex,
  toHex,
  zeroAddress,
  zeroHash,
} from 'viem';
import { defaultImageId } from '../support/evidence.ts';
import { history2935Code, slotOf2935 } from '../support/history.ts';
import {
  commitment,
  contextOf,
  decisionBody,
  type Receipt,
  receiptDigest,
  receiptWith,
  signReceipt,
  subjectOf,
} from '../support/receipts.ts';
import { refused } from '../support/refused.ts';
import {
  chainId,
  deployWorld,
  enroll,
  lastRecord,
  register,
  registrySettings,
  signerOf,
  teePolicy,
} from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(deployed);

const purpose = keccak256(stringToHex('cloister-credit-line/open'));
const manifest = toHex(0xa1, { size: 32 });
const otherManifest = toHex(0xa2, { size: 32 });
const outputSalt = toHex(0x5a17, { size: 32 });
const signer = signerOf(1);
const curveOrder = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

async function deployed() {
  const world = await deployWorld(connection);
  const workerId = await enroll(world);
  await register(world, workerId, { signer: signer.address });
  const salt = toHex(1, { size: 32 });
  const fields = {
    upgradeNoticeSeconds: 60,
    keyVersion: 1,
    minKeyVersion: 1,
    kind: 0,
    imagePolicy: 0,
    replicas: 2,
    stateful: false,
    vetoer: zeroAddress,
  };
  await world.apps.write.create([salt, manifest, fields], { account: world.owner.account });
  const app = (await world.apps.getEvents.AppCreated())[0]?.args.app ?? zeroHash;
  const policy = {
    workerRegistry: world.workers.address,
    appRegistry: world.apps.address,
    app,
    maxAgeBlocks: 50n,
    manifests: [] as Hex[],
  };
  const credit = await viem.deployContract('CreditLine', [policy]);
  return { ...world, workerId, app, fields, policy, credit };
}
type Deployed = Awaited<ReturnType<typeof deployed>>;

type Case = {
  /** Changes before the worker signs. */
  readonly signed?: Partial<Receipt>;
  /** Changes after it has signed. */
  readonly edited?: Partial<Receipt>;
  readonly caller?: Deployed['borrower'];
  readonly subject?: Address;
  readonly nonce?: bigint;
  readonly boundNonce?: bigint;
  readonly purpose?: Hex;
  readonly consumer?: Address;
  readonly credit?: Deployed['credit'];
  readonly registry?: Address;
  readonly chainId?: number;
  readonly key?: ReturnType<typeof signerOf>;
  readonly body?: Hex;
  readonly shownBody?: Hex;
  readonly shownSalt?: Hex;
};

/** The arguments of open for a call that holds, but for the case's changes. */
async function opening(world: Deployed, change: Case = {}) {
  const credit = change.credit ?? world.credit;
  const caller = change.caller ?? world.borrower;
  const nonce = change.nonce ?? 1n;
  const body = change.body ?? decisionBody(caller.account.address, 1n, 2500n);
  const block = await world.publicClient.getBlock();
  const subject = subjectOf(change.subject ?? caller.account.address);
  const receipt = receiptWith({
    app: world.app,
    manifest,
    context: contextOf(
      chainId,
      change.consumer ?? credit.address,
      subject,
      change.purpose ?? purpose,
      change.boundNonce ?? nonce,
    ),
    outputCommitment: commitment(outputSalt, body),
    blockNumber: block.number,
    blockHash: block.hash,
    ...change.signed,
  });
  const domain = { chainId: change.chainId ?? chainId, registry: change.registry ?? world.workers.address };
  const signature = await signReceipt(receipt, domain, change.key ?? signer);
  const args = [
    { ...receipt, ...change.edited },
    signature,
    nonce,
    change.shownSalt ?? outputSalt,
    change.shownBody ?? body,
  ] as const;
  return { credit, caller, args };
}

async function open(world: Deployed, change: Case = {}) {
  const { credit, caller, args } = await opening(world, change);
  return credit.write.open(args, { account: caller.account });
}

describe('CreditLine.open', () => {
  it('opens a line on an answer that holds', async () => {
    const world = await load();
    const { credit, borrower, workerId } = world;
    const { args } = await opening(world);
    await credit.write.open(args, { account: borrower.account });
    assert.equal(await credit.read.limitOf([borrower.account.address]), 2500n);
    const opened = await credit.getEvents.CreditLineOpened();
    assert.deepEqual(opened[0]?.args, { borrower: getAddress(borrower.account.address), limit: 2500n, nonce: 1n });
    const consumed = await credit.getEvents.ReceiptConsumed();
    const [receipt] = args;
    assert.deepEqual(consumed[0]?.args, {
      context: receipt.context,
      workerId,
      requestHash: receipt.requestHash,
      outputCommitment: receipt.outputCommitment,
    });
    assert.equal(await credit.read.isContextUsed([receipt.context]), true);
  });

  it('takes a refusal too, and uses its nonce up', async () => {
    const world = await load();
    const { credit, borrower } = world;
    await open(world, { body: decisionBody(borrower.account.address, 0n, 0n) });
    assert.equal(await credit.read.limitOf([borrower.account.address]), 0n);
    assert.deepEqual((await credit.getEvents.CreditLineDeclined())[0]?.args, {
      borrower: getAddress(borrower.account.address),
      nonce: 1n,
    });
    await refused(open(world), 'CloisterConsumerContextUsed');
    await open(world, { nonce: 2n });
    assert.equal(await credit.read.limitOf([borrower.account.address]), 2500n);
  });

  it('records the limit once', async () => {
    const world = await load();
    await open(world);
    await refused(
      open(world, { nonce: 2n, body: decisionBody(world.borrower.account.address, 1n, 9000n) }),
      'CreditLineAlreadyOpen',
      [world.borrower.account.address, 2500],
    );
    assert.equal(await world.credit.read.limitOf([world.borrower.account.address]), 2500n);
  });

  it("refuses a decision about another's file", async () => {
    const world = await load();
    const other = world.stranger.account.address;
    await refused(open(world, { body: decisionBody(other, 1n, 2500n) }), 'CreditLineForeignFile', [
      BigInt(other),
      world.borrower.account.address,
    ]);
  });

  it('refuses bodies that decide nothing', async () => {
    const world = await load();
    const applicant = world.borrower.account.address;
    const approval = decisionBody(applicant, 1n, 2500n);
    await refused(open(world, { body: '0x' }), 'CreditLineBodyMalformed', [0]);
    await refused(open(world, { body: slice(approval, 0, 95) }), 'CreditLineBodyMalformed', [95]);
    await refused(open(world, { body: concatHex([approval, '0x00']) }), 'CreditLineBodyMalformed', [97]);
    for (const [approved, limit] of [
      [2n, 1n],
      [1n, 0n],
      [0n, 1n],
    ] as const)
      await refused(open(world, { body: decisionBody(applicant, approved, limit) }), 'CreditLineDecisionInvalid', [
        approved,
        limit,
      ]);
  });
});

describe('CloisterConsumer: whose answer, for whom', () => {
  it('refuses a second use, by the same bytes or another receipt of the same context', async () => {
    const world = await load();
    const { args } = await opening(world);
    await world.credit.write.open(args, { account: world.borrower.account });
    const again = world.credit.write.open(args, { account: world.borrower.account });
    await refused(again, 'CloisterConsumerContextUsed', [args[0].context]);
    await refused(open(world, { signed: { sequence: 2n } }), 'CloisterConsumerContextUsed');
  });

  it('refuses another borrower’s answer', async () => {
    const world = await load();
    const { args } = await opening(world);
    const stolen = world.credit.write.open(args, { account: world.stranger.account });
    const expected = contextOf(chainId, world.credit.address, subjectOf(world.stranger.account.address), purpose, 1n);
    await refused(stolen, 'CloisterConsumerWrongContext', [expected, args[0].context]);
  });

  it('refuses an answer meant for a second contract', async () => {
    const world = await load();
    const second = await viem.deployContract('CreditLine', [world.policy]);
    const { args } = await opening(world);
    await refused(second.write.open(args, { account: world.borrower.account }), 'CloisterConsumerWrongContext');
    await refused(open(world, { credit: second, consumer: world.credit.address }), 'CloisterConsumerWrongContext');
  });

  it('refuses another purpose, another nonce, no context', async () => {
    const world = await load();
    await refused(
      open(world, { purpose: keccak256(stringToHex('cloister-credit-line/close')) }),
      'CloisterConsumerWrongContext',
    );
    await refused(open(world, { nonce: 2n, boundNonce: 1n }), 'CloisterConsumerWrongContext');
    await refused(open(world, { signed: { context: zeroHash } }), 'CloisterConsumerWrongContext');
    const foreign = contextOf(1, world.credit.address, subjectOf(world.borrower.account.address), purpose, 1n);
    await refused(open(world, { signed: { context: foreign } }), 'CloisterConsumerWrongContext');
  });

  it('refuses another app and failures, attested though they are', async () => {
    const world = await load();
    const other = toHex(0xbad, { size: 32 });
    await refused(open(world, { signed: { app: other } }), 'CloisterConsumerWrongApp', [world.app, other]);
    for (const status of [1, 2, 3, 255])
      await refused(open(world, { signed: { status } }), 'CloisterConsumerStatusNotOk', [status]);
  });

  it('refuses a body or a salt that the receipt does not commit to', async () => {
    const world = await load();
    const raised = decisionBody(world.borrower.account.address, 1n, 2501n);
    const { args } = await opening(world);
    await refused(open(world, { shownBody: raised }), 'CloisterConsumerOutputMismatch', [
      args[0].outputCommitment,
      commitment(outputSalt, raised),
    ]);
    await refused(open(world, { shownSalt: zeroHash }), 'CloisterConsumerOutputMismatch');
  });
});

describe('CloisterConsumer: who signed', () => {
  it('refuses every field edited after signing', async () => {
    const world = await load();
    const { args } = await opening(world);
    const [receipt, signature] = args;
    for (const field of Object.keys(receipt) as (keyof Receipt)[]) {
      const value = receipt[field];
      const edited = {
        ...receipt,
        [field]:
          typeof value === 'string'
            ? toHex(BigInt(value) ^ 1n, { size: 32 })
            : typeof value === 'number'
              ? value + 1
              : value + 1n,
      };
      const call = world.credit.write.open([edited, signature, args[2], args[3], args[4]], {
        account: world.borrower.account,
      });
      await assert.rejects(call, /CloisterConsumer/, field);
      const recovered = await world.credit.read.receiptSigner([edited, signature]).catch(() => zeroAddress);
      assert.notEqual(recovered, signer.address, field);
    }
  });

  it('refuses who never registered, and receipts of another registry or chain', async () => {
    const world = await load();
    await refused(open(world, { key: signerOf(2) }), 'CloisterConsumerSignerNotActive', [
      signerOf(2).address,
      zeroHash,
    ]);
    await refused(open(world, { registry: world.apps.address }), 'CloisterConsumerSignerNotActive');
    await refused(open(world, { chainId: 1 }), 'CloisterConsumerSignerNotActive');

    // A worker of another network on the same chain, active there.
    const timelock = world.timelock.address;
    const foreign = await viem.deployContract('WorkerRegistry', [
      registrySettings(timelock, world.images.address, world.settings.genesis),
    ]);
    await world.govern(foreign, 'setTeePolicy', [2, teePolicy(world.verifier.address)]);
    const foreignId = await enroll(world, world.operator, foreign);
    await register(world, foreignId, { registry: foreign, signer: signerOf(3).address });
    assert.deepEqual(await foreign.read.isActiveSigner([signerOf(3).address]), [true, foreignId]);
    await refused(open(world, { key: signerOf(3) }), 'CloisterConsumerSignerNotActive', [
      signerOf(3).address,
      zeroHash,
    ]);
    await refused(open(world, { key: signerOf(3), registry: foreign.address }), 'CloisterConsumerSignerNotActive');
  });

  it('refuses a signer whose lease has ended, who was evicted, replaced or retired', async () => {
    const world = await load();
    const { workers, operator, workerId, images, govern } = world;
    const expectRefused = () => refused(open(world), 'CloisterConsumerSignerNotActive', [signer.address, workerId]);
    const start = await networkHelpers.takeSnapshot();

    await networkHelpers.time.increaseTo((await workers.read.statusOf([workerId])).leaseUntil);
    await expectRefused();
    await start.restore();

    await workers.write.retire([workerId], { account: operator.account });
    await expectRefused();
    await start.restore();

    await register(world, workerId, { signer: signerOf(2).address });
    await expectRefused();
    await open(world, { key: signerOf(2) });
    await start.restore();

    const record = await lastRecord(world, workerId);
    await govern(images, 'revoke', [defaultImageId]);
    await workers.write.evict([workerId, record]);
    await expectRefused();
  });

  it('refuses signatures of any other form', async () => {
    const world = await load();
    const { args } = await opening(world);
    const [receipt, signature, nonce, salt, body] = args;
    const r = slice(signature, 0, 32);
    const s = BigInt(slice(signature, 32, 64));
    const v = Number(slice(signature, 64));
    const highS = concatHex([r, toHex(curveOrder - s, { size: 32 }), toHex(v === 27 ? 28 : 27)]);
    const compact = concatHex([r, toHex(s | (BigInt(v - 27) << 255n), { size: 32 })]);
    const forms: readonly Hex[] = [
      '0x',
      slice(signature, 0, 64),
      concatHex([signature, '0x00']),
      highS,
      compact,
      concatHex([slice(signature, 0, 64), toHex(v - 27, { size: 1 })]),
      concatHex([slice(signature, 0, 64), '0x1d']),
      concatHex([zeroHash, zeroHash, '0x1b']),
    ];
    for (const form of forms) {
      const call = world.credit.write.open([receipt, form, nonce, salt, body], { account: world.borrower.account });
      await refused(call, 'CloisterConsumerSignatureInvalid', []);
    }
  });
});

describe('CloisterConsumer: when', () => {
  it('refuses a receipt beyond its age, to the block', async () => {
    const world = await load();
    const { args } = await opening(world);
    await networkHelpers.mine(49);
    const start = await networkHelpers.takeSnapshot();
    await world.credit.write.open(args, { account: world.borrower.account });
    await start.restore();
    await networkHelpers.mine(1);
    const next = (await world.publicClient.getBlockNumber()) + 1n;
    await refused(world.credit.write.open(args, { account: world.borrower.account }), 'CloisterConsumerTooOld', [
      args[0].blockNumber,
      next - 50n,
    ]);
  });

  it('refuses the present block, and later ones', async () => {
    const world = await load();
    const number = await world.publicClient.getBlockNumber();
    for (const blockNumber of [number + 1n, number + 100n, 2n ** 64n - 1n])
      await refused(open(world, { signed: { blockNumber } }), 'CloisterConsumerFromTheFuture', [
        blockNumber,
        number + 1n,
      ]);
  });

  it('refuses a hash that is not of this chain', async () => {
    const world = await load();
    const block = await world.publicClient.getBlock();
    const foreign = toHex(1, { size: 32 });
    await refused(open(world, { signed: { blockHash: foreign } }), 'CloisterConsumerForeignBlock', [
      block.number,
      block.hash,
      foreign,
    ]);
  });

  it('checks older hashes where the chain keeps them', async () => {
    const world = await load();
    const patient = await viem.deployContract('CreditLine', [{ ...world.policy, maxAgeBlocks: 1000n }]);
    const foreign = toHex(1, { size: 32 });
    const { args } = await opening(world, { credit: patient, signed: { blockHash: foreign } });
    const block = await world.publicClient.getBlock();
    await networkHelpers.mine(300);
    const start = await networkHelpers.takeSnapshot();
    // Without the history contract nobody can tell; the policy's age allowed that.
    await patient.write.open(args, { account: world.borrower.account });
    await start.restore();
    const { address, code } = history2935Code;
    await networkHelpers.setCode(address, code);
    await networkHelpers.setStorageAt(address, slotOf2935(block.number), block.hash);
    await refused(patient.write.open(args, { account: world.borrower.account }), 'CloisterConsumerForeignBlock', [
      block.number,
      block.hash,
      foreign,
    ]);
  });
});

describe('CloisterConsumer: which code', () => {
  it('follows the app’s serving version', async () => {
    const world = await load();
    await world.apps.write.publish([world.app, otherManifest, world.fields], { account: world.owner.account });
    await refused(open(world, { signed: { manifest: otherManifest } }), 'CloisterConsumerManifestNotAllowed', [
      otherManifest,
    ]);
    const start = await networkHelpers.takeSnapshot();
    await open(world);
    await start.restore();
    await networkHelpers.time.increase(60);
    await refused(open(world), 'CloisterConsumerManifestNotAllowed', [manifest]);
    await open(world, { signed: { manifest: otherManifest } });
  });

  it('or accepts a fixed set for ever', async () => {
    const world = await load();
    const manifests = [otherManifest, toHex(0xa3, { size: 32 })];
    const fixed = await viem.deployContract('CreditLine', [{ ...world.policy, appRegistry: zeroAddress, manifests }]);
    await refused(open(world, { credit: fixed }), 'CloisterConsumerManifestNotAllowed', [manifest]);
    await open(world, { credit: fixed, signed: { manifest: otherManifest } });
    assert.deepEqual(
      await Promise.all([manifest, ...manifests, zeroHash].map((id) => fixed.read.isManifestAllowed([id]))),
      [false, true, true, false],
    );
  });

  it('refuses a policy that could not hold', async () => {
    const { policy, stranger } = await load();
    const deploy = (changes: Partial<typeof policy>) => viem.deployContract('CreditLine', [{ ...policy, ...changes }]);
    const nobody = stranger.account.address;
    await refused(deploy({ workerRegistry: nobody }), 'CloisterConsumerRegistryWithoutCode', [nobody]);
    await refused(deploy({ appRegistry: zeroAddress }), 'CloisterConsumerRegistryWithoutCode', [zeroAddress]);
    await refused(deploy({ app: zeroHash }), 'CloisterConsumerAppMissing', []);
    await refused(deploy({ maxAgeBlocks: 0n }), 'CloisterConsumerMaxAgeMissing', []);
    await refused(deploy({ manifests: [manifest, zeroHash] }), 'CloisterConsumerManifestMissing', []);
  });
});

describe('CloisterConsumer views', () => {
  it('compute what clients need off chain', async () => {
    const world = await load();
    const { credit, borrower, workers } = world;
    const { args } = await opening(world);
    const [receipt, signature] = args;
    assert.equal(
      await credit.read.receiptDigest([receipt]),
      receiptDigest(receipt, { chainId, registry: workers.address }),
    );
    assert.equal(await credit.read.receiptSigner([receipt, signature]), signer.address);
    assert.equal(await credit.read.contextOf([subjectOf(borrower.account.address), purpose, 1n]), receipt.context);
    assert.equal(await credit.read.subjectOf([borrower.account.address]), subjectOf(borrower.account.address));
    assert.equal(await credit.read.OPEN_PURPOSE(), purpose);
    assert.equal(await credit.read.isContextUsed([receipt.context]), false);
    assert.equal(await credit.read.app(), world.app);
    assert.equal(await credit.read.maxAgeBlocks(), 50n);
  });

  it('take no ether', async () => {
    const { credit, borrower } = await load();
    await assert.rejects(borrower.sendTransaction({ to: credit.address, value: parseEther('1') }));
  });
});
