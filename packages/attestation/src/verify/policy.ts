import type { Bytes32, Hex } from '@cloister/core';
import { fromUtf8 } from '@cloister/crypto';
import { assertAtMost, bounds } from './bounds.ts';
import type { Claims } from './claims.ts';
import { AttestationError } from './errors.ts';
import { JsonValue } from './json.ts';
import { type TcbStatus, tcbStatuses } from './tcbStatus.ts';

/** Statuses that a policy may accept: a revoked platform is never acceptable. */
export type AcceptableTcbStatus = Exclude<TcbStatus, 'Revoked'>;

/** What a relying party accepts. Debug TDs, revoked platforms and TDs open to others are refused whatever it says. */
export type AppraisalPolicy = {
  /** Default: all that this package verifies. */
  readonly teeTypes?: readonly Claims['teeType'][];
  /** Default: `UpToDate` and `SWHardeningNeeded`. */
  readonly tcbStatuses?: readonly AcceptableTcbStatus[];
  /** Refuses statuses judged by older data than this. Default: 0. */
  readonly minimumTcbEvaluationDataNumber?: number;
  /** Reference values of TDX images. Default: any image. */
  readonly imageIds?: readonly Bytes32[];
  /** The first 32 bytes of MRCONFIGID, the rest being zero: the network file's id. Default: any. */
  readonly configId?: Bytes32;
  /** 64 bytes. Default: any. */
  readonly reportData?: Hex;
  /** MRSERVICETD values besides zero that are accepted: service TDs can migrate a TD away. Default: none. */
  readonly serviceTds?: readonly Hex[];
  /** Whether evidence below a simulated root is accepted. For development; default: false. */
  readonly unsafeAllowSimulated?: boolean;
};

/** What is accepted where a policy does not say. */
export const defaultTcbStatuses: readonly AcceptableTcbStatus[] = ['UpToDate', 'SWHardeningNeeded'];

const maxImages = 1024;
const acceptable = tcbStatuses.filter((status): status is AcceptableTcbStatus => status !== 'Revoked');

/** Reads a policy file: JSON with the fields of {@link AppraisalPolicy} and no others. Throws MALFORMED_POLICY, MALFORMED_JSON, TOO_LARGE. */
export function parsePolicy(bytes: Uint8Array): AppraisalPolicy {
  assertAtMost(bytes.length, bounds.policy, 'policy');
  const json = JsonValue.parse(textOf(bytes), 'policy', 'MALFORMED_POLICY').onlyMembers([
    'teeTypes',
    'tcbStatuses',
    'minimumTcbEvaluationDataNumber',
    'imageIds',
    'configId',
    'reportData',
    'serviceTds',
    'unsafeAllowSimulated',
  ]);
  const read = <Value>(key: string, reader: (value: JsonValue) => Value): { [key: string]: Value } => {
    const member = json.member(key);
    return member.absent ? {} : { [key]: reader(member) };
  };
  return {
    ...read('teeTypes', (value) => value.items(8).map((item) => item.oneOf(['tdx', 'sgx']))),
    ...read('tcbStatuses', (value) => value.items(8).map((item) => item.oneOf(acceptable))),
    ...read('minimumTcbEvaluationDataNumber', (value) => value.integer(0xffffffff)),
    ...read('imageIds', (value) => value.items(maxImages).map((item) => item.prefixedHex(32))),
    ...read('configId', (value) => value.prefixedHex(32)),
    ...read('reportData', (value) => value.prefixedHex(64)),
    ...read('serviceTds', (value) => value.items(64).map((item) => item.prefixedHex(48))),
    ...read('unsafeAllowSimulated', (value) => value.boolean()),
  };
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new AttestationError({
      code: 'MALFORMED_JSON',
      place: 'policy',
      message: 'Expected the policy in UTF-8',
      cause,
    });
  }
}
