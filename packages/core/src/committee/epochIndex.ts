import * as z from '../schema.ts';
import { type EpochCandidate, epochCandidateToJson, parseEpochCandidate } from './epochRecord.ts';
import {
  maxCommitteeMembers,
  measurementMessageToJson,
  parseMeasurementCommitment,
  parseMeasurementPublication,
  type SignedMeasurementCommitment,
  type SignedMeasurementPublication,
} from './measurement.ts';

/** What a member has of an epoch, its own and others', as it tells anybody. Vectors are fetched by their ids. */
export type EpochIndex = {
  readonly epoch: bigint;
  readonly commitments: readonly SignedMeasurementCommitment[];
  /** More than one of a member that published more than one. */
  readonly publications: readonly SignedMeasurementPublication[];
  readonly candidates: readonly EpochCandidate[];
};

export const maxEpochIndexBytes = 1024 * 1024;
/** Publications that are told: one of each member, and more of those that made more. */
export const maxEpochPublications = 96;
/** Candidates that are told, the newest attempts. */
export const maxEpochCandidates = 8;

const indexJson = z.strictObject({
  epoch: z.uintString(64),
  commitments: z.array(z.jsonObject).check(z.refineArray(0, maxCommitteeMembers)),
  publications: z.array(z.jsonObject).check(z.refineArray(0, maxEpochPublications)),
  candidates: z.array(z.jsonObject).check(z.refineArray(0, maxEpochCandidates)),
});

/** Reads a member's index; no signature in it is checked. Throws SchemaError, MEASUREMENT_INVALID. */
export function parseEpochIndex(json: unknown): EpochIndex {
  const { epoch, commitments, publications, candidates } = z.parseWith(indexJson, json, 'epoch index');
  return {
    epoch,
    commitments: commitments.map(parseMeasurementCommitment),
    publications: publications.map(parseMeasurementPublication),
    candidates: candidates.map(parseEpochCandidate),
  };
}

/** The index as JSON has it. */
export function epochIndexToJson({ epoch, commitments, publications, candidates }: EpochIndex): z.Json {
  return {
    epoch: epoch.toString(),
    commitments: commitments.map(measurementMessageToJson),
    publications: publications.map(measurementMessageToJson),
    candidates: candidates.map(epochCandidateToJson),
  };
}
