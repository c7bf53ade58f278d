/** Code whose every check must have a test that fails without it. */
export type MutationTarget = {
  readonly name: string;
  readonly language: 'typescript' | 'solidity';
  /** Folders or files; of Solidity only files. */
  readonly sources: readonly string[];
  /** Tests that may kill its mutants, as globs. */
  readonly tests: readonly string[];
  /**
   * Of Solidity: gas of a transaction or call, where the usual 150 million are too much: a loop that a mutant made endless burns all of it,
   * and takes minutes for that.
   */
  readonly gasLimit?: number;
};

export const mutationTargets: readonly MutationTarget[] = [
  {
    name: 'attestation/verify',
    language: 'typescript',
    sources: ['packages/attestation/src/verify'],
    tests: ['packages/attestation/test/**/*.test.ts'],
  },
  {
    // What is proven by bytes alone. The view that reads a chain by it is tried on a real node, in tests of seconds.
    name: 'chain-proof',
    language: 'typescript',
    sources: ['bloom', 'header', 'provenAccount', 'provenReceipts', 'rlp', 'trieProof', 'trieRoot'].map(
      (name) => `packages/chain-proof/src/${name}.ts`,
    ),
    tests: ['packages/chain-proof/test/{rlp,trieProof,trieRoot,mutants/*}.test.ts'],
  },
  {
    // The forms of a log's entries. The store over them waits, and what makes it wait for ever is found by minutes.
    name: 'state',
    language: 'typescript',
    sources: ['log/changes', 'log/entry', 'partitionKey'].map((name) => `packages/state/src/${name}.ts`),
    tests: ['packages/state/test/{changes,entry,partitionKey,mutants/*}.test.ts'],
  },
  {
    name: 'contracts/attestation',
    language: 'solidity',
    sources: [
      ...solidity('attestation', [
        'CollateralStore',
        'CommitteeResultVerifier',
        'EvidencePolicies',
        'IntelRoles',
        'PckRegistry',
        'QuoteVerifier',
        'SgxVerifier',
        'TdxVerifier',
      ]),
      'contracts/src/WorkerRegistry.sol',
      ...solidity('libraries', [
        'BlockHashes',
        'Calendar',
        'CodeBlob',
        'CommitteeProof',
        'DerReader',
        'IntelJson',
        'JsonReader',
        'P256Verify',
        'PckExtension',
        'RevocationList',
        'TcbFormat',
        'X509',
      ]),
    ],
    // Each file's chains stay in memory: those of money, which reach little of this, would be most of it.
    tests: [
      'contracts/test/nodejs/attestation/*.test.ts',
      'contracts/test/nodejs/{batch,committeeResults,creditLine,gatekeeperCommittee,governance,rights}.test.ts',
      'contracts/test/nodejs/{imageRegistry,libraries,platformAssurance,vectors}.test.ts',
      'contracts/test/nodejs/workerRegistry.*.test.ts',
    ],
  },
  {
    name: 'contracts/stake',
    language: 'solidity',
    sources: [
      ...solidity('staking', [
        'StakePools',
        'StakePoolExits',
        'StakePoolSeizures',
        'StakePoolSettings',
        'StakePoolState',
        'StakePoolVotes',
        'WorkMeter',
        'WorkerBonds',
        'ExitLane',
        'EarningsStream',
        'ShareMath',
        'StakeVotes',
      ]),
      ...solidity('slashing', ['Slashing']),
    ],
    tests: [
      'contracts/test/nodejs/{stakePools,stakePools.seizure,stakePools.edges,workerBonds,workMeter,slashing}.test.ts',
    ],
  },
  {
    name: 'contracts/emission',
    language: 'solidity',
    sources: [
      ...solidity('emission', ['Emission', 'EmissionSchedule', 'EmittedPha', 'EpochRewards']),
      ...solidity('governance', ['EpochRecords']),
    ],
    tests: ['contracts/test/nodejs/{emission,epochRecords,epochRewards}.test.ts'],
    gasLimit: 20_000_000,
  },
  {
    name: 'contracts/governor',
    language: 'solidity',
    sources: solidity('governance/governor', [
      'ActRules',
      'Acts',
      'CloisterGovernor',
      'GovernorActs',
      'GovernorQueue',
      'GovernorRules',
      'PoolVotes',
      'StakeDelegates',
    ]),
    tests: ['contracts/test/nodejs/governor.*.test.ts', 'contracts/test/nodejs/{rights,stakeDelegates}.test.ts'],
  },
  {
    name: 'contracts/images and apps',
    language: 'solidity',
    sources: ['contracts/src/ImageRegistry.sol', ...solidity('apps', ['AppTimelock', 'AppTimelockFactory'])],
    tests: ['contracts/test/nodejs/{imageRegistry,appTimelock,rights}.test.ts'],
  },
  {
    name: 'contracts/payments',
    language: 'solidity',
    sources: solidity('payments', [
      'Anchors',
      'ChannelBalances',
      'ClaimBatch',
      'ClaimCalldata',
      'FeeLedger',
      'PaymentClaims',
      'PaymentDeposits',
      'PaymentRecords',
      'PaymentWithdrawals',
      'Payments',
      'PaymentsState',
      'SignerTotals',
      'Sponsorship',
      'StorageRent',
    ]),
    tests: [
      'contracts/test/nodejs/{payments.claim,payments.deposit,payments.edges,sponsorship,storageRent,vectors}.test.ts',
    ],
  },
];

function solidity(folder: string, names: readonly string[]): readonly string[] {
  return names.map((name) => `contracts/src/${folder}/${name}.sol`);
}
