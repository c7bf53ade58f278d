import type { Bytes32, Hex } from '@cloister/core';
import { fromUtf8 } from '@cloister/crypto';
import { assertAtMost, bounds } from '../bounds.ts';
import type { Claims } from '../claims.ts';
import { type TcbStatus, tcbStatuses } from '../dcap/tcbStatus.ts';
import { AttestationError } from '../errors.ts';
import { JsonValue } from '../json.ts';
import { type SnpProduct, snpProducts } from '../snp/product.ts';
import { type SnpTcb, snpTcbParts } from '../snp/tcb.ts';
import { type AssuranceLevel, assuranceLevels } from './assurance.ts';

/** Statuses that a policy may accept: a revoked platform is never acceptable. */
export type AcceptableTcbStatus = Exclude<TcbStatus, 'Revoked'>;

/** Versions that SNP firmware must reach; a part that is left out may be any. */
export type SnpTcbFloor = { readonly [Part in keyof SnpTcb]?: number };

/** What a relying party accepts. Debug mode, revoked platforms and guests open to others are refused whatever it says. */
export type AppraisalPolicy = {
  /** Default: all that this package verifies. */
  readonly teeTypes?: readonly Claims['teeType'][];
  /** Intel. Default: `UpToDate` and `SWHardeningNeeded`. */
  readonly tcbStatuses?: readonly AcceptableTcbStatus[];
  /**
   * Intel: for how long after the date of the TCB that superseded it a platform that is out of date is judged as if it were
   * not, in seconds. Default: 0, no grace.
   */
  readonly outOfDateGraceSeconds?: number;
  /** Intel: refuses a TCB of before this date, Unix seconds. Default: any. */
  readonly minimumTcbDate?: number;
  /** Intel: refuses statuses judged by older data than this. Default: 0. */
  readonly minimumTcbEvaluationDataNumber?: number;
  /** Intel: where given, every advisory of the status must be on it. */
  readonly allowedAdvisories?: readonly string[];
  /** Intel: no advisory of the status may be on it. */
  readonly deniedAdvisories?: readonly string[];
  /**
   * AMD: the floor of the reported TCB for each line of processors. AMD gives no verdict on a TCB, so a line without a floor is
   * refused; an empty one accepts every version.
   */
  readonly snpMinimumTcb?: { readonly [Product in SnpProduct]?: SnpTcbFloor };
  /** AMD: the lowest privilege that may have asked for the report, 0 to 3. Default: 0, the highest only. */
  readonly snpMaximumVmpl?: number;
  /** Reference values, of any type of TEE. Default: any image. */
  readonly imageIds?: readonly Bytes32[];
  /**
   * What the host configured, the network file's id: MRCONFIGID or CONFIGID, zero behind these 32 bytes, or HOST_DATA. In a dstack
   * CVM the compose hash. Default: any.
   */
  readonly configId?: Bytes32;
  /** 64 bytes. Default: any. */
  readonly reportData?: Hex;
  /** TDX: MRSERVICETD values besides zero that are accepted: service TDs can migrate a TD away. Default: none. */
  readonly serviceTds?: readonly Hex[];
  /** What must be said beside the evidence of the machine. Default: nothing. */
  readonly minimumAssurance?: AssuranceLevel;
  /** GPUs that must be attested beside the evidence. Default: none. */
  readonly gpus?: {
    /** At least so many. */
    readonly minimum: number;
    /** Models, as their tokens name them. Default: any. */
    readonly models?: readonly string[];
  };
  /** Whether evidence below a simulated root is accepted. For development; default: false. */
  readonly unsafeAllowSimulated?: boolean;
};

/** What is accepted where a policy does not say. */
export const defaultTcbStatuses: readonly AcceptableTcbStatus[] = ['UpToDate', 'SWHardeningNeeded'];

const maxImages = 1024;
const maxAdvisories = 1024;
const maxGraceSeconds = 10 * 366 * 86_400;
const acceptable = tcbStatuses.filter((status): status is AcceptableTcbStatus => status !== 'Revoked');

/** How each field of a policy file is read; a field that is not here is refused. */
const readers: { readonly [Field in keyof Required<AppraisalPolicy>]: (value: JsonValue) => AppraisalPolicy[Field] } = {
  teeTypes: (value) => value.items(8).map((item) => item.oneOf(['tdx', 'sgx', 'sev-snp', 'nitro'])),
  tcbStatuses: (value) => value.items(8).map((item) => item.oneOf(acceptable)),
  outOfDateGraceSeconds: (value) => value.integer(maxGraceSeconds),
  minimumTcbDate: (value) => value.time(),
  minimumTcbEvaluationDataNumber: (value) => value.integer(0xffffffff),
  allowedAdvisories: (value) => value.items(maxAdvisories).map((item) => item.text(64)),
  deniedAdvisories: (value) => value.items(maxAdvisories).map((item) => item.text(64)),
  snpMinimumTcb: readSnpFloors,
  snpMaximumVmpl: (value) => value.integer(3),
  imageIds: (value) => value.items(maxImages).map((item) => item.prefixedHex(32)),
  configId: (value) => value.prefixedHex(32),
  reportData: (value) => value.prefixedHex(64),
  serviceTds: (value) => value.items(64).map((item) => item.prefixedHex(48)),
  minimumAssurance: (value) => value.oneOf(assuranceLevels),
  gpus: readGpus,
  unsafeAllowSimulated: (value) => value.boolean(),
};

/**
 * Reads a policy file: JSON with the fields of {@link AppraisalPolicy} and no others; dates as text like
 * "2025-06-19T10:16:03Z". Throws MALFORMED_POLICY, MALFORMED_JSON, TOO_LARGE.
 */
export function parsePolicy(bytes: Uint8Array): AppraisalPolicy {
  assertAtMost(bytes.length, bounds.policy, 'policy');
  const json = JsonValue.parse(textOf(bytes), 'policy', 'MALFORMED_POLICY').onlyMembers(Object.keys(readers));
  const policy: Record<string, unknown> = {};
  for (const [field, reader] of Object.entries(readers)) {
    const member = json.member(field);
    if (!member.absent) policy[field] = reader(member);
  }
  return policy;
}

function readSnpFloors(json: JsonValue): NonNullable<AppraisalPolicy['snpMinimumTcb']> {
  json.onlyMembers(snpProducts);
  const floors: { [Product in SnpProduct]?: SnpTcbFloor } = {};
  for (const product of snpProducts) {
    const floor = json.member(product);
    if (floor.absent) continue;
    floor.onlyMembers(snpTcbParts);
    const parts: { -readonly [Part in keyof SnpTcb]?: number } = {};
    for (const part of snpTcbParts) if (!floor.member(part).absent) parts[part] = floor.member(part).integer(255);
    floors[product] = parts;
  }
  return floors;
}

function readGpus(json: JsonValue): NonNullable<AppraisalPolicy['gpus']> {
  json.onlyMembers(['minimum', 'models']);
  const models = json.member('models');
  return {
    minimum: json.member('minimum').integer(64),
    ...(models.absent ? {} : { models: models.items(64).map((item) => item.text(128)) }),
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
