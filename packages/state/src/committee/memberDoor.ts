import {
  type Address,
  CloisterError,
  describeError,
  type MemberRefusal,
  MemberRefusedError,
  maxStateAnswerBytes,
  memberRefusedBy,
  parseBoundedJson,
  readBounded,
  type StatePartition,
  stateRecordToJson,
  withDeadline,
} from '@cloister/core';

/** A gatekeeper as the chain has it. */
export type StateMember = { readonly signer: Address; readonly endpoint: string };

/** The committee whose members sign now. */
export type StateGeneration = {
  readonly number: bigint;
  readonly threshold: number;
  /** In the order of their indices, which count from 1. */
  readonly members: readonly StateMember[];
};

export type MemberDoorInit = { readonly fetch: typeof globalThis.fetch; readonly timeoutMs: number };

/** A member's answer as JSON. Throws MemberRefusedError with the member's own code, or NO_ANSWER. */
export async function askMember(
  { fetch, timeoutMs }: MemberDoorInit,
  member: StateMember,
  door: 'fence' | 'head' | 'certified' | StatePartition,
  body: object | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  const path = typeof door === 'string' ? door : `${door.app}/${door.partition}`;
  const what = `Gatekeeper ${member.endpoint}`;
  try {
    return await withDeadline({ timeoutMs, signal, what }, async (inner) => {
      const response = await fetch(`${member.endpoint}/v1/state/${path}`, {
        signal: inner,
        redirect: 'error',
        ...(body && {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(stateRecordToJson(body)),
        }),
      });
      const json = parseBoundedJson(await readBounded(response, maxStateAnswerBytes), maxStateAnswerBytes, 'answer');
      if (!response.ok) throw memberRefusedBy(json);
      return json;
    });
  } catch (error) {
    if (error instanceof MemberRefusedError) throw error;
    throw new MemberRefusedError('NO_ANSWER', describeError(error));
  }
}

/** Why an answer is of no use, as a refusal. */
export function refusalOf({ signer }: StateMember, error: unknown): MemberRefusal {
  if (error instanceof MemberRefusedError) return { member: signer, code: error.code, message: error.message };
  // A form or signature that does not hold; whatever else there is, is a defect.
  if (error instanceof CloisterError) return { member: signer, code: 'REFUSED', message: error.message };
  throw error;
}
