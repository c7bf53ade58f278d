export { type Header, type HeaderFork, provenHeader } from './header.ts';
export { type CallResult, type CallState, type LocalCall, runLocalCall } from './localCall.ts';
export { ProofError, type ProofErrorCode } from './proofError.ts';
export { emptyCodeHash, emptyStorageRoot, type ProvenAccount, provenAccount, provenSlot } from './provenAccount.ts';
export { provenLogs, type ReceiptLog } from './provenReceipts.ts';
export { ProvenView, type ProvenViewInit, provenBlocks } from './provenView.ts';
export { emptyTrieRoot, provenValue } from './trieProof.ts';
export { listTrieRoot } from './trieRoot.ts';
