import type { Hex } from '@cloister/core';
import { fromUtf8, sha256, toHex } from '@cloister/crypto';
import { assertAtMost, bounds } from './bounds.ts';
import { type CheckList, check } from './checks.ts';
import { AttestationError } from './errors.ts';
import { JsonValue } from './json.ts';

/** What a paravisor vouches for in a guest's name. */
export type RuntimeData = {
  /** What the guest chose, as the paravisor writes it: 64 bytes of user data; null where it names none. */
  readonly userData: Hex | null;
  /** The whole, for readers of its keys. */
  readonly json: JsonValue;
};

export type VerifyRuntimeDataOptions = {
  /** Takes down what is checked. */
  readonly checks?: CheckList | undefined;
};

const userDataLength = 64;

/**
 * Runtime data that verified evidence binds. Below a paravisor (Azure's confidential VMs) no guest chooses report data: the
 * paravisor puts sha256 of a JSON into its first half, zero into its second, and the guest's own 64 bytes into that JSON
 * (member `user-data`, hexadecimal). So whatever should be bound to the guest stands there. It is as true as the paravisor,
 * which the measurement identifies: appraise that.
 * @param runtimeData exactly as the paravisor wrote it, without padding
 * @param claims of verified evidence
 * Throws RUNTIME_DATA_NOT_BOUND, MALFORMED_RUNTIME_DATA, MALFORMED_JSON, TOO_LARGE.
 */
export function verifyRuntimeData(
  runtimeData: Uint8Array,
  claims: { readonly reportData: Hex | null },
  { checks }: VerifyRuntimeDataOptions = {},
): RuntimeData {
  assertAtMost(runtimeData.length, bounds.runtimeData, 'runtimeData');
  return check(checks, 'runtime-data', "The evidence binds the paravisor's runtime data", (inner) => {
    const digest = toHex(sha256(runtimeData));
    if (claims.reportData !== `${digest}${'0'.repeat(64)}`)
      throw new AttestationError({
        code: 'RUNTIME_DATA_NOT_BOUND',
        place: 'claims.reportData',
        value: claims.reportData ?? 'none',
        message: `Expected report data "${digest}" and 32 zero bytes, got "${claims.reportData ?? 'none'}"`,
        hint: 'The runtime data is not that of this evidence, or it was changed',
      });
    const json = JsonValue.parse(textOf(runtimeData), 'runtimeData', 'MALFORMED_RUNTIME_DATA');
    const member = json.member('user-data');
    const userData = member.absent ? null : toHex(member.bytes(userDataLength));
    inner?.note(userData === null ? digest : `user data ${userData}`);
    return { userData, json };
  });
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new AttestationError({
      code: 'MALFORMED_RUNTIME_DATA',
      place: 'runtimeData',
      message: 'Expected the runtime data in UTF-8',
      cause,
    });
  }
}
