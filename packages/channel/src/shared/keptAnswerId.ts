import type { Bytes32 } from '@cloister/core';
import { concatBytes, fromBase64Url, fromHex, sha256, toHex, utf8 } from '@cloister/crypto';
import type { CallHeaders } from './callHeaders.ts';

const tag = utf8('cloister/kept-answer: v1');

/**
 * The name under which a worker keeps the answer to a call: who asks again must know app, call id and client key. A hash,
 * so that looking it up compares no secret byte by byte.
 */
export function keptAnswerId(call: CallHeaders): Bytes32 {
  return toHex(sha256(concatBytes(tag, fromHex(call.app), fromBase64Url(call.callId), call.clientKey.reveal())));
}
