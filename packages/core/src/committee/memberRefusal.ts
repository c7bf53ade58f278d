import { CloisterError } from '../errors.ts';
import type { Address } from '../hex.ts';

/** Why a gatekeeper gave no answer that is of use: its own code, or that of whoever asked. */
export type MemberRefusal = { readonly member: Address; readonly code: string; readonly message: string };

const maxMessageLength = 500;

/** What a gatekeeper that refuses says, in its answer's JSON: REFUSED where it gives no code. It may say anything. */
export function memberRefusedBy(json: unknown): MemberRefusedError {
  const { code, message } = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  return new MemberRefusedError(
    typeof code === 'string' && /^[A-Z_]{1,64}$/.test(code) ? code : 'REFUSED',
    typeof message === 'string' ? message.slice(0, maxMessageLength) : 'no reason given',
  );
}

/** A gatekeeper's own refusal, as it says it. */
export class MemberRefusedError extends CloisterError<string> {
  override readonly name = 'MemberRefusedError';
  constructor(code: string, message: string) {
    super({ code, message });
  }
}
