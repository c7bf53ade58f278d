import { toHex } from '@cloister/crypto';
import { parseQuote } from '../verify/dcap/quote.ts';
import { readTdReport } from '../verify/dcap/tdReport.ts';
import { AttestationError, type EventLogText, type Registers, verifyCcel, verifyDstackLog } from '../verify/index.ts';

/**
 * A firmware's log (bytes) or a dstack guest's (text) as it stands in evidence; undefined where a verifier would refuse it
 * beside this quote, whose registers it must give.
 */
export function replayedLog(log: Uint8Array | string, quote: Uint8Array): EventLogText | undefined {
  const registers = registersIn(quote);
  if (registers === undefined) return undefined;
  try {
    if (typeof log === 'string') {
      verifyDstackLog(log, registers);
      return { kind: 'dstack', log };
    }
    verifyCcel(log, registers);
    return { kind: 'ccel', log: Buffer.from(log).toString('base64') };
  } catch (error) {
    if (error instanceof AttestationError) return undefined;
    throw error;
  }
}

function registersIn(quote: Uint8Array): Registers | undefined {
  const { body } = parseQuote(quote);
  if (body.kind !== 'tdx') return undefined;
  const { rtmr0, rtmr1, rtmr2, rtmr3 } = readTdReport(body);
  return { rtmr0: toHex(rtmr0), rtmr1: toHex(rtmr1), rtmr2: toHex(rtmr2), rtmr3: toHex(rtmr3) };
}
