import { ChainError, type RegistryReader } from '@cloister/chain';
import {
  announcementFromJson,
  announcementToJson,
  type Bytes32,
  CloisterError,
  commitBody,
  isHexOf,
  type Json,
  jcsId,
  maxManifestBytes,
  type NetworkFile,
  parseManifest,
  receiptDigest,
  receiptStatuses,
  receiptStatusName,
  signedReceiptFromJson,
  signedReceiptToJson,
  zeroBytes32,
} from '@cloister/core';
import { fromBase64Url, toBase64Url } from '@cloister/crypto';
import type { CallResult } from './callTypes.ts';
import type { ReceiptWatch } from './equivocation/receiptWatch.ts';
import type { Gateways } from './gateways.ts';
import { type ProofStep, StepList } from './steps.ts';
import { statedTransfer, transferDetail, unguardedTitle } from './verifyReceipt.ts';
import { checkerOf, disagreements, signerOf, WorkerRefusedError, type WorkerVerifier } from './verifyWorker.ts';

/** What a call leaves behind: enough for anyone to check who computed it, and the answer itself only where it is opened. */
export type ProofFile = {
  readonly format: 'cloister-proof-1';
  readonly network: Bytes32;
  readonly worker: Json;
  readonly receipt: Json;
  readonly opened: { readonly outputSalt: Bytes32; readonly answer: string } | null;
};

export function proofOf(network: Bytes32, result: CallResult, open: { readonly answer: boolean }): ProofFile {
  const proof = unopenedProofOf(network, result);
  if (!open.answer) return proof;
  return { ...proof, opened: { outputSalt: result.attempt.outputSalt, answer: toBase64Url(result.body) } };
}

/** A proof that shows the answer to nobody. */
export function unopenedProofOf(
  network: Bytes32,
  { worker, receipt }: Pick<CallResult, 'worker' | 'receipt'>,
): ProofFile {
  return {
    format: 'cloister-proof-1',
    network,
    worker: announcementToJson(worker.announcement),
    receipt: signedReceiptToJson(receipt),
    opened: null,
  };
}

export type VerifyProofOptions = {
  /** The app that the receipt must be about. Default: whichever it names. */
  readonly app?: Bytes32;
  /** The context that it must carry. Default: whichever it carries. */
  readonly context?: Bytes32;
  readonly signal?: AbortSignal;
};

export type VerifyProofResult = {
  /** Every step holds, and the receipt's status is "ok" or not: a proven failure is proven too. */
  readonly ok: boolean;
  readonly outcome: string;
  readonly simulated: boolean;
  readonly steps: readonly ProofStep[];
};

export type VerifyProofComponents = {
  readonly network: NetworkFile;
  readonly networkId: Bytes32;
  readonly registry: RegistryReader;
  readonly verifier: WorkerVerifier;
  readonly gateways: Gateways;
  /** Compares the receipt with those that this client has seen. */
  readonly receipts: Pick<ReceiptWatch, 'see'>;
};

/** Checks a proof in the order of trust and stops at the first step that does not hold. Throws PROOF_MALFORMED for what is none. */
export async function verifyProof(
  components: VerifyProofComponents,
  json: unknown,
  options: VerifyProofOptions,
): Promise<VerifyProofResult> {
  const proof = readProof(json);
  const list = new StepList();
  const signed = signedReceiptFromJson(proof.receipt);
  const worker = announcementFromJson(proof.worker);
  const { receipt } = signed;
  const { network, registry, verifier } = components;
  const stop = (step: ProofStep) => new ProofStop(step);
  try {
    list.check(
      'network',
      'The proof is about the network that you pinned',
      proof.network === components.networkId,
      `network ${proof.network}`,
      stop,
    );
    const block = await registry.view.blockAt(receipt.blockNumber, options.signal).catch((error: unknown) => {
      if (error instanceof ChainError && disagreements.has(error.code)) return undefined;
      throw error;
    });
    list.check(
      'receipt-block',
      'The receipt names a block of this chain',
      block?.hash === receipt.blockHash,
      `block ${receipt.blockNumber}`,
      stop,
    );
    // By the chain's clock, not by the time that the receipt claims: nobody can go back behind expired collateral.
    const claims = await verifier.verifyEvidence(
      worker,
      list,
      Number(block?.timestamp ?? 0n),
      options.signal,
      receipt.blockNumber,
    );
    const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
    const signer = signerOf(receiptDigest(domain, receipt), signed.signature);
    list.check(
      'receipt-signature',
      'The receipt is signed by the key that the quote is bound to',
      signer === worker.receiptSigner &&
        signed.workerId === worker.workerId &&
        signed.chainId === domain.chainId &&
        signed.registry === domain.registry,
      `signed by ${signer ?? 'nobody'}`,
      stop,
    );
    const [status, evictedIn] = await Promise.all([
      registry.workerStatus(worker.workerId, receipt.blockNumber, options.signal),
      registry.evictionBlockOf(worker.receiptSigner, undefined, options.signal),
    ]);
    list.check(
      'registered',
      'In that block the contract knew the key as this worker under a running lease, and it was not evicted since',
      status.state === 'active' &&
        status.receiptSigner === worker.receiptSigner &&
        status.operator === worker.operator &&
        status.leaseUntil > (block?.timestamp ?? 0n) &&
        evictedIn === 0n,
      evictedIn > 0n
        ? `evicted in block ${evictedIn}`
        : `state "${status.state}", evidence checked by ${checkerOf(status)}, signer ${status.receiptSigner}`,
      stop,
    );
    list.check(
      'app',
      'The receipt is about the expected app',
      options.app === undefined || receipt.app === options.app,
      `app ${receipt.app}`,
      stop,
    );
    list.check(
      'context',
      'The receipt carries the expected context',
      options.context === undefined || receipt.context === options.context,
      `context ${receipt.context}`,
      stop,
    );
    list.check(
      'details',
      'The details are the ones that the receipt hashes',
      receipt.detailsHash === jcsId(signed.details),
      `details ${receipt.detailsHash}`,
      stop,
    );
    const transfer = statedTransfer(signed.details);
    if (transfer !== undefined)
      list.check(
        'transfer',
        unguardedTitle,
        transfer !== 'malformed',
        transfer === 'malformed' ? 'its details name a payment that can not be read' : transferDetail(transfer),
        stop,
      );
    const byWorker = receipt.manifest === zeroBytes32;
    list.check(
      'manifest',
      byWorker
        ? 'The worker itself answered, and says that no code of the app did'
        : 'The code that ran is named by the manifest in the receipt',
      !byWorker || receipt.status !== receiptStatuses.ok,
      byWorker ? 'no manifest' : await codeOf(components, receipt.manifest, options.signal),
      stop,
    );
    if (proof.opened !== null) {
      const answer = fromBase64Url(proof.opened.answer);
      const commitment = commitBody(proof.opened.outputSalt, answer);
      list.check(
        'output',
        'The answer in this file is the one that the receipt commits to',
        commitment === receipt.outputCommitment,
        `${answer.length} bytes`,
        stop,
      );
    }
    const name = receiptStatusName(receipt.status);
    const outcome = name ?? 'unknown';
    list.check('outcome', `The call ended with "${outcome}"`, name !== undefined, `status ${receipt.status}`, stop);
    const found = await components.receipts.see(domain, worker.receiptSigner, signed);
    list.check(
      'only-receipt',
      'Its signer has signed no other receipt for this place, as far as this client has seen',
      found === undefined,
      found === undefined
        ? `sequence ${receipt.sequence}`
        : `two receipts for sequence ${found.equivocation.receipts[0].receipt.sequence}, kept ${found.keptAt === undefined ? 'in memory' : `at ${found.keptAt}`}`,
      stop,
    );
    return { ok: true, outcome, simulated: claims.simulated, steps: list.steps };
  } catch (error) {
    if (!(error instanceof ProofStop) && !(error instanceof WorkerRefusedError)) throw error;
    return { ok: false, outcome: 'unproven', simulated: network.simulated, steps: list.steps };
  }
}

async function codeOf(
  components: VerifyProofComponents,
  manifest: Bytes32,
  signal: AbortSignal | undefined,
): Promise<string> {
  try {
    const { name, kind, code } = parseManifest(await components.gateways.getBlob(manifest, maxManifestBytes, signal));
    return `${kind} "${name}", code sha256 ${code.sha256}`;
  } catch {
    return `manifest ${manifest} (no gateway has its text now)`;
  }
}

function readProof(json: unknown): ProofFile {
  const value = json as Partial<Record<keyof ProofFile, unknown>> | null;
  const known = ['format', 'network', 'worker', 'receipt', 'opened'];
  if (typeof value !== 'object' || value === null || value.format !== 'cloister-proof-1')
    throw new ProofError('it is no cloister-proof-1');
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new ProofError(`field "${unknown.slice(0, 64)}" is unknown`);
  if (!isHexOf(value.network, 32)) throw new ProofError('field "network" is no id');
  const opened = value.opened as { outputSalt?: unknown; answer?: unknown } | null;
  if (opened !== null && (typeof opened !== 'object' || !isHexOf(opened.outputSalt, 32) || !isBase64Url(opened.answer)))
    throw new ProofError('field "opened" is neither null nor a salt and an answer');
  return value as ProofFile;
}

function isBase64Url(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  try {
    fromBase64Url(value);
    return true;
  } catch {
    return false;
  }
}

class ProofStop extends Error {
  readonly step: ProofStep;
  constructor(step: ProofStep) {
    super(step.title);
    this.step = step;
  }
}

export class ProofError extends CloisterError<'PROOF_MALFORMED'> {
  override readonly name = 'ProofError';
  constructor(problem: string) {
    super({
      code: 'PROOF_MALFORMED',
      message: `The file holds no proof: ${problem}`,
      hint: 'Give the file that "cloister call --proof FILE" wrote',
    });
  }
}
