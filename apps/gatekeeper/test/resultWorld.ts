import {
  type NitroDocument,
  nitroEvidenceDocument,
  type SnpDocument,
  snpEvidenceDocument,
} from '@cloister/attestation/verify';
import { type Bytes32, type NetworkFile, teeTypes } from '@cloister/core';
import { concatBytes, fromHex } from '@cloister/crypto';
import { createMetrics, silentLogger } from '@cloister/service';
import {
  awsRoot,
  cbor,
  makeNitroDocument,
  type NitroWorldOptions,
} from '../../../packages/attestation/test/nitro/syntheticNitro.ts';
import { amdRoot, makeSnpWorld, type SnpWorldOptions } from '../../../packages/attestation/test/snp/syntheticSnp.ts';
import { now } from '../../../packages/attestation/test/synthetic.ts';
import { type ResultFacts, type ResultPolicy, ResultRules } from '../src/results/resultRules.ts';
import { ResultService } from '../src/results/resultService.ts';
import { domain, type Person } from './ceremonyRoom.ts';

export { now };
export const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;
export const configId = b32(0xc0);
export const binding = b32(0xb1);
export const blockHash = b32(0xb2);
/** Number and time of the block that good evidence names. */
export const attested = { number: 100n, timestamp: BigInt(now - 60) };

export const simulatedNetwork: Pick<NetworkFile, 'simulated' | 'trustRoots'> = {
  simulated: true,
  trustRoots: [
    { tee: 'sev-snp', spkiSha256: amdRoot.spkiSha256, simulated: true, name: 'DEV AMD' },
    { tee: 'nitro', spkiSha256: awsRoot.spkiSha256, simulated: true, name: 'DEV AWS' },
  ],
};

export type FactsChanges = {
  readonly block?: bigint;
  readonly time?: bigint;
  readonly policies?: Readonly<Record<number, ResultPolicy>>;
  readonly blocks?: Readonly<Record<Bytes32, { readonly number: bigint; readonly timestamp: bigint }>>;
};

const policy: ResultPolicy = {
  acceptedTcbStatuses: ['UpToDate', 'SWHardeningNeeded'],
  minimumTcbEvaluationDataNumber: 0,
};

/** A chain that takes registrations by both types and has the attested block. */
export function factsOf(changes: FactsChanges = {}): ResultFacts {
  const policies: Readonly<Record<number, ResultPolicy>> = changes.policies ?? {
    [teeTypes['sev-snp']]: policy,
    [teeTypes.nitro]: policy,
  };
  return {
    block: changes.block ?? 110n,
    time: changes.time ?? BigInt(now),
    policy: async (teeType) => policies[teeType],
    blockOf: async (hash) => (changes.blocks ?? { [blockHash]: attested })[hash],
  };
}

/** An SNP guest's evidence; good unless something of it is another. */
export function snpEvidence(options: SnpWorldOptions & { readonly reportData?: Uint8Array } = {}): SnpDocument {
  const { report, certificates } = makeSnpWorld({
    product: 'Genoa',
    ...options,
    edit: (bytes) => {
      bytes.set(options.reportData ?? concatBytes(fromHex(binding), fromHex(blockHash)), 0x50);
      bytes.set(fromHex(configId), 0xc0);
      options.edit?.(bytes);
    },
  });
  return snpEvidenceDocument(report, certificates);
}

/** A Nitro enclave's evidence; good unless something of it is another. */
export function nitroEvidence(payload: NitroWorldOptions['payload'] = {}): NitroDocument {
  return nitroEvidenceDocument(
    makeNitroDocument({
      payload: {
        user_data: cbor.bytes(concatBytes(fromHex(binding), fromHex(blockHash))),
        nonce: cbor.bytes(fromHex(configId)),
        ...payload,
      },
    }),
  );
}

/** One member's service. */
export function serviceOf(me: Person, facts: ResultFacts = factsOf(), clockMs: () => number = () => 0): ResultService {
  return new ResultService(
    {
      me,
      rules: new ResultRules(simulatedNetwork),
      facts: async () => facts,
      answered: createMetrics().counter({ name: 'test_total', help: 'test' }),
      log: silentLogger,
      clockMs,
    },
    { domain },
  );
}
