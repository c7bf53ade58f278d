import { type Bytes32, CloisterError, describeError, logRequestDigest, type NetworkFile } from '@cloister/core';
import { randomBytes, toHex, utf8 } from '@cloister/crypto';
import type { LocalAccount } from 'viem';
import type { CallResult } from './callTypes.ts';
import { ReceiptRefusedError } from './verifyReceipt.ts';

export type LogLine = { readonly timeMs: number; readonly level: string; readonly message: string };
export type WorkerLogs = {
  readonly workerId: Bytes32;
  readonly lines: readonly LogLine[];
  /** Why this worker gave none; those of the others are there all the same. */
  readonly unavailable?: string;
};

const lifetimeSeconds = 300n;

/** The body of a log request: signed by the app's owner, for one worker, good once and for five minutes. */
export async function signLogRequest(
  network: NetworkFile,
  account: LocalAccount,
  app: Bytes32,
  workerId: Bytes32,
  now: bigint,
): Promise<Uint8Array> {
  if (account.sign === undefined) throw new LogsError('LOGS_ACCOUNT_CANT_SIGN', 'The account can not sign digests');
  const notAfter = now + lifetimeSeconds;
  const nonce = toHex(randomBytes(32));
  const domain = { chainId: network.chainId, registry: network.contracts.workerRegistry };
  const signature = await account.sign({ hash: logRequestDigest(domain, { app, workerId, notAfter, nonce }) });
  return utf8(JSON.stringify({ notAfter: notAfter.toString(), nonce, signature }));
}

/**
 * What each worker gave. One that can't be reached is told beside the others; that it does not give them to this account is an error, and so
 * is that none could be reached.
 */
export async function gatherLogs(
  asked: readonly { readonly workerId: Bytes32; readonly logs: Promise<WorkerLogs> }[],
): Promise<WorkerLogs[]> {
  const settled = await Promise.allSettled(asked.map(({ logs }) => logs));
  const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  const attested = failures.find((reason) => reason instanceof LogsError || reason instanceof ReceiptRefusedError);
  if (attested !== undefined) throw attested;
  if (failures.length > 0 && failures.length === asked.length) throw failures[0];
  return settled.map((one, index) =>
    one.status === 'fulfilled'
      ? one.value
      : { workerId: asked[index]?.workerId as Bytes32, lines: [], unavailable: describeError(one.reason) },
  );
}

/** The lines in a worker's answer. Throws LOGS_REFUSED with its reason. */
export function readLogs(workerId: Bytes32, result: CallResult): WorkerLogs {
  const answer = JSON.parse(new TextDecoder().decode(result.body)) as { lines?: LogLine[]; error?: string };
  if (!result.ok)
    throw new LogsError('LOGS_REFUSED', `Worker "${workerId}" gives no logs: ${answer.error ?? result.outcome}`);
  return { workerId, lines: answer.lines ?? [] };
}

export class LogsError extends CloisterError<'LOGS_REFUSED' | 'LOGS_ACCOUNT_CANT_SIGN'> {
  override readonly name = 'LogsError';
  constructor(code: LogsError['code'], message: string) {
    super({ code, message });
  }
}
