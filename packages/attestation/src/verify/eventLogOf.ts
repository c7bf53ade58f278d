import { fromBase64 } from './base64.ts';
import { type CheckList, check } from './checks.ts';
import type { TdxClaims } from './claims.ts';
import { verifyCcel } from './eventLog/verifyCcel.ts';
import { verifyDstackLog } from './eventLog/verifyDstackLog.ts';
import type { EventLogText } from './evidenceDocument.ts';

/**
 * That the event log of a document is the one of its quote: its replay gives the registers that the quote states. A dstack
 * guest's gives all four; a firmware's too, or what the guest extended later is not in it. Throws as the two readers do.
 */
export function verifyEventLog({ kind, log }: EventLogText, claims: TdxClaims, checks?: CheckList): void {
  check(checks, 'event-log', 'The replay of the event log gives the registers of the quote', (inner) => {
    const events =
      kind === 'ccel'
        ? verifyCcel(fromBase64(log, 'evidence.eventLog.log'), claims)
        : verifyDstackLog(log, claims).events;
    inner?.note(`${kind}, ${events.length} events`);
  });
}
