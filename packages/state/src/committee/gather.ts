import type { MemberRefusal } from '@cloister/core';
import { StateError } from '../stateError.ts';
import { refusalOf, type StateGeneration, type StateMember } from './memberDoor.ts';

/**
 * Asks every member at once, and is done as soon as `conclude` can say something of what has come. Throws STATE_FENCED,
 * STATE_HELD, STATE_REFUSED or STATE_HEAD_UNAVAILABLE, by what the members that refuse say, and whatever `conclude` throws.
 * @param ask one member's answer, checked; `index` is its place, from 1
 * @param conclude gets all that have come
 */
export async function gather<Answer, Result>(
  { members, threshold }: StateGeneration,
  ask: (member: StateMember, index: number, signal: AbortSignal) => Promise<Answer>,
  conclude: (answers: readonly Answer[]) => Result | undefined,
  signal: AbortSignal,
): Promise<Result> {
  const answers: Answer[] = [];
  const refusals: MemberRefusal[] = [];
  const ended = new AbortController();
  const inner = AbortSignal.any([signal, ended.signal]);
  try {
    return await new Promise<Result>((resolve, reject) => {
      let open = members.length;
      const onOne = (): void => {
        open -= 1;
        const result = answers.length > 0 ? conclude(answers) : undefined;
        if (result !== undefined) resolve(result);
        else if (open === 0) reject(failure(members.length, threshold, answers.length, refusals));
      };
      if (open === 0) reject(failure(0, threshold, 0, refusals));
      members.forEach((member, position) => {
        ask(member, position + 1, inner)
          .then((answer) => answers.push(answer))
          .catch((error: unknown) => refusals.push(refusalOf(member, error)))
          .then(onOne)
          .catch(reject);
      });
    });
  } finally {
    ended.abort();
  }
}

/** What the next block, epoch, handover or start may change. */
const passing = new Set([
  ...['NO_ANSWER', 'REFUSED', 'INTERNAL', 'GATEKEEPER_BUSY', 'GATEKEEPER_STARTING', 'ABORTED', 'DEADLINE_EXCEEDED'],
  ...['STATE_RECOVERING', 'STATE_NO_SHARES', 'KEY_REQUEST_STALE', 'PLACEMENT_PENDING', 'BLOB_UNAVAILABLE'],
  ...['BEACON_ROUND_AHEAD', 'BEACON_NO_SHARES', 'BEACON_UNAVAILABLE', 'STATE_PROMISES_TOO_FEW'],
]);
/** What a member says that has seen more than this host. */
const overtaken = new Set(['STATE_FENCED', 'STATE_FENCE_TOO_FAR', 'STATE_STALE', 'STATE_CONFLICT']);

function failure(members: number, threshold: number, answered: number, refusals: readonly MemberRefusal[]): StateError {
  const reasons = refusals.map(({ member, code, message }) => `${member.slice(0, 10)}: ${code}, ${message}`).join('; ');
  const meta = { codes: refusals.map(({ code }) => code) };
  const few = `Of "${threshold}" gatekeepers needed, "${answered}" answered as they should`;
  const text = reasons === '' ? few : `${few} (${reasons})`;
  if (refusals.some(({ code }) => overtaken.has(code))) return new StateError('STATE_FENCED', text, { meta });
  if (refusals.some(({ code }) => code === 'STATE_HELD')) return new StateError('STATE_HELD', text, { meta });
  const final = refusals.filter(({ code }) => !passing.has(code) && !code.startsWith('CHAIN_'));
  const code = final.length > 0 && final.length > members - threshold ? 'STATE_REFUSED' : 'STATE_HEAD_UNAVAILABLE';
  return new StateError(code, text, { meta });
}
