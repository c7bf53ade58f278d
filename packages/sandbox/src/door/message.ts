import type { schema } from '@cloister/core';
import { SandboxError } from '../sandboxError.ts';

type Json = schema.Json;

/** One message through the door: JSON, and bytes that it describes. */
export type DoorMessage = { readonly head: unknown; readonly bytes: Uint8Array };

const lengthBytes = 4;

/** The head's length in four bytes, the head as JSON, the bytes. */
export function encodeDoorMessage(head: Json, bytes: Uint8Array = new Uint8Array()): Buffer {
  const json = Buffer.from(JSON.stringify(head), 'utf8');
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json, bytes]);
}

/** Throws SERVICE_REQUEST_INVALID. */
export function decodeDoorMessage(message: Buffer): DoorMessage {
  if (message.length < lengthBytes) throw invalidRequest('it is cut off');
  const end = lengthBytes + message.readUInt32BE();
  if (end > message.length) throw invalidRequest('its head is cut off');
  try {
    return { head: JSON.parse(message.toString('utf8', lengthBytes, end)), bytes: message.subarray(end) };
  } catch {
    throw invalidRequest('its head is not JSON');
  }
}

export function invalidRequest(why: string): SandboxError {
  return new SandboxError({
    code: 'SERVICE_REQUEST_INVALID',
    message: `A request to the services of the worker does not have their form: ${why}`,
  });
}
