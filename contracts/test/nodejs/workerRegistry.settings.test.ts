import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { getAddress, hashDomain, toHex, zeroAddress, zeroHash } from 'viem';
import { refused } from '../support/refused.ts';
import { chainId, deployWorld, hour, signerOf, type TeePolicy, teePolicy, teeTdx } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers, viem } = connection;
const load = () => networkHelpers.loadFixture(world);

async function world() {
  return deployWorld(connection);
}

describe('WorkerRegistry settings', () => {
  it('keeps what it was deployed with', async () => {
    const { workers, settings } = await load();
    assert.equal((await workers.read.timelock()).toLowerCase(), settings.timelock.toLowerCase());
    assert.equal((await workers.read.imageRegistry()).toLowerCase(), settings.imageRegistry.toLowerCase());
    assert.equal(await workers.read.genesis(), settings.genesis);
    assert.equal(await workers.read.epochLength(), settings.epochLength);
    assert.equal(await workers.read.roundLength(), settings.roundLength);
    assert.equal(await workers.read.maxAttestedBlockAge(), settings.maxAttestedBlockAge);
    assert.equal(await workers.read.simulatedAllowed(), true);
    assert.equal(await workers.read.networkKeysHash(), zeroHash);
  });

  it('refuses impossible settings', async () => {
    const { settings, stranger } = await load();
    const deploy = (changes: Partial<typeof settings>) =>
      viem.deployContract('WorkerRegistry', [{ ...settings, ...changes }]);
    const nobody = stranger.account.address;
    await refused(deploy({ timelock: nobody }), 'GovernedTimelockWithoutCode', [nobody]);
    await refused(deploy({ imageRegistry: nobody }), 'WorkerRegistryImageRegistryWithoutCode', [nobody]);
    await refused(deploy({ genesis: 0n }), 'WorkerRegistryGenesisMissing', []);
    await refused(deploy({ epochLength: 0 }), 'WorkerRegistryClockInvalid', [0, 30]);
    await refused(deploy({ roundLength: 0 }), 'WorkerRegistryClockInvalid', [hour, 0]);
    await refused(deploy({ roundLength: 31 }), 'WorkerRegistryClockInvalid', [hour, 31]);
    await refused(deploy({ maxAttestedBlockAge: 0 }), 'WorkerRegistryBlockAgeOutOfRange', [0, 8191]);
    await refused(deploy({ maxAttestedBlockAge: 8192 }), 'WorkerRegistryBlockAgeOutOfRange', [8192, 8191]);
    await deploy({ maxAttestedBlockAge: 8191 });
  });

  it('changes by the timelock, within its bounds', async () => {
    const { workers, verifier, stranger, timelock, govern } = await load();
    const policy = { verifier: getAddress(verifier.address), leaseDuration: 60, acceptedTcbStatuses: 0x02 };
    const whole = { ...policy, minimumTcbEvaluationDataNumber: 18 };
    await govern(workers, 'setTeePolicy', [3, whole]);
    assert.deepEqual(await workers.read.teePolicyOf([3]), whole);
    assert.deepEqual((await workers.getEvents.TeePolicySet())[0]?.args, { teeType: 3, policy: whole });
    await govern(workers, 'setNetworkKeysHash', [toHex(5, { size: 32 })]);
    assert.equal(await workers.read.networkKeysHash(), toHex(5, { size: 32 }));

    // Through the timelock a refusal passes as it is.
    const refuse = (changes: Partial<TeePolicy>, error: string, values: readonly unknown[]) =>
      refused(govern(workers, 'setTeePolicy', [teeTdx, teePolicy(verifier.address, changes)]), error, values);
    const longest = 30 * 24 * hour;
    for (const leaseDuration of [0, 59, longest + 1])
      await refuse({ leaseDuration }, 'WorkerRegistryLeaseDurationOutOfRange', [leaseDuration, 60, longest]);
    await govern(workers, 'setTeePolicy', [3, { ...whole, leaseDuration: longest }]);
    assert.equal((await workers.read.teePolicyOf([3])).leaseDuration, longest);
    for (const acceptedTcbStatuses of [0, 0x01, 0x80, 0x86, 0x100, 0xffff])
      await refuse({ acceptedTcbStatuses }, 'WorkerRegistryTcbStatusesInvalid', [acceptedTcbStatuses]);
    const nobody = stranger.account.address;
    await refuse({ verifier: nobody }, 'WorkerRegistryVerifierWithoutCode', [nobody]);
    assert.notEqual(timelock.address, zeroAddress);
  });
});

describe('WorkerRegistry views', () => {
  it('tells epoch and round by the block’s timestamp', async () => {
    const { workers, settings } = await load();
    const late = settings.genesis + 1_000_000n;
    for (const [sinceGenesis, epoch, round] of [
      [hour - 1, 0n, 119n],
      [hour, 1n, 120n],
      [5 * hour + 29, 5n, 600n],
      [5 * hour + 30, 5n, 601n],
    ] as const) {
      await networkHelpers.time.increaseTo(settings.genesis + BigInt(sinceGenesis));
      assert.equal(await workers.read.currentEpoch(), epoch);
      assert.equal(await workers.read.currentRound(), round);
    }
    const planned = await viem.deployContract('WorkerRegistry', [{ ...settings, genesis: late }]);
    assert.equal(await planned.read.currentEpoch(), 0n);
    await networkHelpers.time.increaseTo(late + BigInt(hour));
    assert.equal(await planned.read.currentEpoch(), 1n);
  });

  it('knows no signer that never registered, nor the zero address', async () => {
    const { workers } = await load();
    for (const signer of [zeroAddress, signerOf(9).address]) {
      assert.deepEqual(await workers.read.isActiveSigner([signer]), [false, zeroHash]);
      assert.equal(await workers.read.workerOf([signer]), zeroHash);
    }
    assert.equal((await workers.read.statusOf([toHex(9, { size: 32 })])).state, 0);
  });

  it('is the verifying contract of the records’ EIP-712 domain', async () => {
    const { workers } = await load();
    const [fields, name, version, domainChainId, verifyingContract, salt, extensions] =
      await workers.read.eip712Domain();
    assert.deepEqual([fields, salt, extensions], ['0x0f', zeroHash, []]);
    const expected = hashDomain({
      domain: { name, version, chainId: domainChainId, verifyingContract },
      types: {
        EIP712Domain: [
          { name: 'name', type: 'string' },
          { name: 'version', type: 'string' },
          { name: 'chainId', type: 'uint256' },
          { name: 'verifyingContract', type: 'address' },
        ],
      },
    });
    assert.deepEqual([name, version, domainChainId], ['Cloister', '1', BigInt(chainId)]);
    assert.equal(await workers.read.domainSeparator(), expected);
  });
});
