import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type Abi, type Address, encodeFunctionData, zeroHash } from 'viem';
import { deployCommitteeWorld } from '../support/committeeWorld.ts';
import { deployEmission } from '../support/emission.ts';
import { deployPayments } from '../support/payments.ts';
import { refused } from '../support/refused.ts';
import { deployStakeWorld } from '../support/stakeWorld.ts';
import { deployStorageRent } from '../support/storageRent.ts';
import type { World } from '../support/world.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const someone: Address = '0x50e0000000000000000000000000000000000001';

/** What of a contract the timelock alone may call, with arguments, and what else of it writes. */
type Surface = {
  readonly governed: Readonly<Record<string, readonly unknown[]>>;
  readonly others: readonly string[];
};

const surfaces = {
  Payments: {
    governed: {
      setFeeShares: [{ gateway: 1, gatekeepers: 1, treasury: 1 }],
      setFeeRecipients: [someone, someone],
      setWorkerRegistry: [someone],
      sweepSurplus: [],
    },
    others: [
      ...['deposit', 'depositWithPermit', 'depositWithAuthorization'],
      ...['claim', 'claimAnchored', 'claimByReceipts', 'claimByAnchoredReceipts', 'anchor', 'openReceipt'],
      ...['requestWithdrawal', 'requestClose', 'cancelWithdrawal', 'withdraw', 'release'],
      ...['distribute', 'collect', 'collectForOperator'],
    ],
  },
  Sponsorship: {
    governed: {},
    others: ['fund', 'setCap', 'requestWithdrawal', 'requestClose', 'cancelWithdrawal', 'take'],
  },
  StorageRent: {
    governed: { setPrice: [1n] },
    others: ['prepay', 'prepayWithPermit', 'cancel', 'collect'],
  },
  StakePools: {
    governed: { setWorkerBonds: [someone], setOwnStakeShare: [1] },
    others: [
      ...['createPool', 'setCommission', 'setCapacity', 'setAllowlist', 'setAllowed', 'collectCommission'],
      ...['deposit', 'depositWithPermit', 'transferShares', 'requestRedeem', 'claimRedeem', 'serve'],
      ...['addFees', 'accrue', 'reserve', 'release', 'seize', 'settle', 'restore'],
    ],
  },
  WorkerBonds: {
    governed: { setBondRule: [1n, 1n], setMeasurer: [someone], setRegistry: [someone], setSlashing: [someone] },
    others: ['start', 'stop', 'stopUncovered', 'forceStop', 'refresh', 'release', 'seize', 'setMeasured'],
  },
  Slashing: {
    governed: {
      setGatekeeperSources: [someone, someone],
      setGuardian: [someone],
      setJudge: [someone, true],
      setOffenceShare: [1, 1],
      setReporterShare: [1],
      setTreasury: [someone],
    },
    others: ['reportEquivocation', 'reportTwoRecords', 'reportJudged', 'settle', 'veto'],
  },
  Emission: {
    governed: {
      setRewards: [someone],
      setSplit: [9n, { treasury: someone, treasuryBps: 1, gatekeepers: someone, gatekeepersBps: 1 }],
    },
    others: ['mintEpoch'],
  },
  EpochRewards: {
    governed: { lift: [0n], voidEpoch: [0n], setGuardian: [someone], setFeeSink: [someone] },
    others: ['open', 'claim', 'claimMany', 'collect', 'handOver', 'blockEpoch'],
  },
  EmittedPha: {
    governed: {},
    others: [
      ...['approve', 'burn', 'burnFrom', 'delegate', 'delegateBySig', 'permit', 'transfer', 'transferFrom'],
      ...['cancelAuthorization', 'receiveWithAuthorization', 'transferWithAuthorization', 'mintForEmission'],
    ],
  },
  EpochRecords: { governed: { setChallengeApp: [zeroHash] }, others: ['post'] },
} as const satisfies Readonly<Record<string, Surface>>;

type Deployed = { readonly address: Address; readonly abi: Abi };
type Loaded = {
  readonly world: World;
  readonly contracts: Partial<Readonly<Record<keyof typeof surfaces, Deployed>>>;
};

async function paying(): Promise<Loaded> {
  const world = await deployPayments(connection);
  const args = [world.payments.address, world.borrower.account.address] as const;
  const sponsorship = await world.viem.deployContract('Sponsorship', args);
  return { world, contracts: { Payments: world.payments, Sponsorship: sponsorship } };
}

async function staking(): Promise<Loaded> {
  const world = await deployStakeWorld(connection);
  return { world, contracts: { StakePools: world.pools, WorkerBonds: world.bonds, Slashing: world.slashing } };
}

async function emitting(): Promise<Loaded> {
  const world = await deployCommitteeWorld(connection);
  const { records, pha, emission } = await deployEmission(world);
  const rewards = await world.viem.deployContract('EpochRewards', [world.timelock.address, emission.address]);
  const contracts = { Emission: emission, EpochRewards: rewards, EmittedPha: pha, EpochRecords: records };
  return { world, contracts };
}

async function storing(): Promise<Loaded> {
  const world = await deployStorageRent(connection);
  return { world, contracts: { StorageRent: world.rent } };
}

const worlds = { paying, staking, emitting, storing };

describe('money: the timelock alone governs', () => {
  for (const [name, deploy] of Object.entries(worlds)) {
    it(`nobody else calls a governed function, where there is ${name}`, async () => {
      const { world, contracts } = await networkHelpers.loadFixture(deploy);
      const { deployer, operator, stranger, timelock } = world;
      for (const [contract, { address, abi }] of entriesOf(contracts))
        for (const [functionName, args] of Object.entries<readonly unknown[]>(surfaces[contract].governed)) {
          const data = encodeFunctionData({ abi, functionName, args });
          for (const caller of [deployer, operator, stranger])
            await refused(caller.sendTransaction({ to: address, data }), 'GovernedCallerNotTimelock', [
              caller.account.address,
              timelock.address,
            ]);
        }
    });

    it(`the lists above are complete, where there is ${name}`, async () => {
      const { contracts } = await networkHelpers.loadFixture(deploy);
      for (const [contract, { abi }] of entriesOf(contracts)) {
        const { governed, others } = surfaces[contract];
        assert.deepEqual(writesOf(abi), [...Object.keys(governed), ...others].sort(), contract);
      }
    });
  }

  it('every contract above is asked', async () => {
    const names: string[] = [];
    for (const deploy of Object.values(worlds))
      names.push(...Object.keys((await networkHelpers.loadFixture<Loaded>(deploy)).contracts));
    assert.deepEqual(names.sort(), Object.keys(surfaces).sort());
  });
});

function entriesOf(contracts: Loaded['contracts']) {
  return Object.entries(contracts) as readonly (readonly [keyof typeof surfaces, Deployed])[];
}

function writesOf(abi: Abi): readonly string[] {
  return abi
    .flatMap((item) =>
      item.type === 'function' && item.stateMutability !== 'view' && item.stateMutability !== 'pure' ? [item.name] : [],
    )
    .sort();
}
