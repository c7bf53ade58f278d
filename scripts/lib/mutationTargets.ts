/** Code whose every check must have a test that fails without it. */
export type MutationTarget = {
  readonly name: string;
  readonly language: 'typescript' | 'solidity';
  /** Folders or files; of Solidity only files. */
  readonly sources: readonly string[];
  /** Tests that may kill its mutants, as globs. */
  readonly tests: readonly string[];
};

export const mutationTargets: readonly MutationTarget[] = [
  {
    name: 'attestation/verify',
    language: 'typescript',
    sources: ['packages/attestation/src/verify'],
    tests: ['packages/attestation/test/**/*.test.ts'],
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
    tests: ['contracts/test/nodejs/**/*.test.ts'],
  },
  {
    name: 'contracts/stake',
    language: 'solidity',
    sources: [
      ...solidity('staking', ['StakePools', 'WorkerBonds', 'ExitLane', 'EarningsStream', 'ShareMath', 'StakeVotes']),
      ...solidity('slashing', ['Slashing']),
    ],
    tests: ['contracts/test/nodejs/{stakePools,stakePools.seizure,stakePools.edges,workerBonds,slashing}.test.ts'],
  },
];

function solidity(folder: string, names: readonly string[]): readonly string[] {
  return names.map((name) => `contracts/src/${folder}/${name}.sol`);
}
