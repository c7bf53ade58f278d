import { CloisterError } from '@cloister/core';

export type ProofErrorCode =
  | 'CHAIN_NO_PROOFS'
  | 'CHAIN_PROOF_INVALID'
  | 'CHAIN_HEADER_INVALID'
  | 'CHAIN_FORK_UNKNOWN'
  | 'CHAIN_CODE_INVALID'
  | 'CHAIN_RECEIPTS_INVALID'
  | 'CHAIN_CALL_UNSUPPORTED'
  | 'CHAIN_CALL_TOO_LARGE';

const hints: Partial<Record<ProofErrorCode, string>> = {
  CHAIN_NO_PROOFS: 'Name an RPC in the network file that serves eth_getProof for blocks of the last minutes',
  CHAIN_PROOF_INVALID: 'The RPC lies, or is broken: ask another one',
  CHAIN_HEADER_INVALID: 'The RPC lies, is broken, or the chain has a newer fork than this release knows',
  CHAIN_FORK_UNKNOWN: 'Run a release that knows the fork',
  CHAIN_CODE_INVALID: 'The RPC lies, or is broken: ask another one',
  CHAIN_RECEIPTS_INVALID:
    'The RPC lies, is broken, or the chain has receipts of a form that this release does not know',
};

/** What an RPC said of the chain does not follow from a block's hash, or can't be checked here. */
export class ProofError extends CloisterError<ProofErrorCode> {
  override readonly name = 'ProofError';
  constructor(code: ProofErrorCode, message: string, meta: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super({ code, message, meta, cause, hint: hints[code] });
  }
}
