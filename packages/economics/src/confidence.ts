/** Intel's statuses by the numbers that the registry keeps: 1 UpToDate to 7 Revoked. Other vendors' levels are mapped to 1 and 5 by their verifiers. */
export type TcbStatusNumber = 1 | 2 | 3 | 4 | 5 | 6 | 7;

/** `PlatformAssurance.AssuranceLevel`: 0 none, 1 self-asserted, 2 endorsed by its owner, 3 audited. */
export type AssuranceLevelNumber = 0 | 1 | 2 | 3;

/** How far a machine is trusted, by what is known of it; each factor in ten-thousandths. */
export type ConfidenceRules = {
  readonly tcbBps: Readonly<Record<TcbStatusNumber, bigint>>;
  readonly assuranceBps: Readonly<Record<AssuranceLevelNumber, bigint>>;
};

/**
 * The table in force. Statuses as Phala had them: full trust for what is current, 80 % where a setting is missing, 70 % out of date.
 * Of assurances only an audit counts: the operator writes the first two levels itself (it also names the owner who endorses), and
 * what costs nothing must bring nothing.
 */
export const defaultConfidenceRules: ConfidenceRules = {
  tcbBps: { 1: 10_000n, 2: 10_000n, 3: 8_000n, 4: 8_000n, 5: 7_000n, 6: 7_000n, 7: 0n },
  assuranceBps: { 0: 8_000n, 1: 8_000n, 2: 8_000n, 3: 10_000n },
};

/** The TCB's factor alone, of a status as the chain gives it; zero where it is revoked, or none that is known. */
export function tcbConfidenceOf(status: number, { tcbBps }: ConfidenceRules = defaultConfidenceRules): bigint {
  return tcbBps[status as TcbStatusNumber] ?? 0n;
}

/** Confidence in ten-thousandths: the product of both factors, rounded down. */
export function confidenceOf(
  tcbStatus: TcbStatusNumber,
  assurance: AssuranceLevelNumber,
  { tcbBps, assuranceBps }: ConfidenceRules = defaultConfidenceRules,
): bigint {
  return (tcbBps[tcbStatus] * assuranceBps[assurance]) / 10_000n;
}
