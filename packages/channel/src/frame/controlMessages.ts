import { type Bytes32, CloisterError, isHexOf, maxAnnouncementBytes, parseBoundedJson } from '@cloister/core';
import { utf8 } from '@cloister/crypto';
import { maxControlBytes } from './limits.ts';

/** What gateway and worker say to each other beside streams, as JSON. A worker dials in and then: */
export type ControlMessage =
  /** 1. gateway: prove who you are, here and now. `gateway` is its public URL. */
  | { readonly type: 'challenge'; readonly nonce: Bytes32; readonly gateway: string }
  /** 2. worker: its receipt signer's EIP-712 signature over (workerId, gateway, nonce), 65 bytes r‖s‖v. */
  | { readonly type: 'hello'; readonly workerId: Bytes32; readonly signature: `0x${string}` }
  /** 3. gateway: you are in the directory as soon as you announce yourself. */
  | { readonly type: 'welcome' }
  /** 3′. gateway: why not, before it closes. */
  | { readonly type: 'refused'; readonly code: RefusalCode; readonly detail: string }
  /** 4. worker, at any time: its announcement (core's WorkerAnnouncement) as JSON text, served as it is. */
  | { readonly type: 'announce'; readonly announcement: string };

export type ControlType = ControlMessage['type'];

/** Why a gateway closes a worker's connection. */
export const refusalCodes = [
  'unknown-worker',
  'bad-signature',
  'too-slow',
  'replaced',
  'bad-announcement',
  'full',
  'stopping',
  'unavailable',
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

const maxGatewayUrlLength = 512;
const maxDetailLength = 512;

/** The bytes of a control message. Throws ControlMessageError where the other side would refuse it. */
export function encodeControl(message: ControlMessage): Uint8Array {
  return utf8(JSON.stringify(check(message)));
}

/** Throws ControlMessageError for unknown types, unknown or missing fields, and values out of bounds. */
export function parseControl(bytes: Uint8Array): ControlMessage {
  let value: unknown;
  try {
    value = parseBoundedJson(bytes, maxControlBytes, 'control message');
  } catch (cause) {
    throw new ControlMessageError('JSON in UTF-8', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ControlMessageError('a JSON object');
  return check(value as { readonly type?: unknown });
}

function check(value: { readonly type?: unknown }): ControlMessage {
  const fields: Readonly<Record<string, unknown>> = value;
  const only = (...names: readonly string[]): void => {
    const unknown = Object.keys(fields).find((name) => name !== 'type' && !names.includes(name));
    if (unknown !== undefined) throw new ControlMessageError(`no field "${unknown.slice(0, 64)}"`);
  };
  switch (value.type) {
    case 'challenge':
      only('nonce', 'gateway');
      return {
        type: 'challenge',
        nonce: bytes32(fields.nonce, 'nonce'),
        gateway: text(fields.gateway, 'gateway', maxGatewayUrlLength),
      };
    case 'hello': {
      only('workerId', 'signature');
      const { signature } = fields;
      if (!isHexOf(signature, 65)) throw new ControlMessageError('a "signature" of 65 bytes');
      return { type: 'hello', workerId: bytes32(fields.workerId, 'workerId'), signature };
    }
    case 'welcome':
      only();
      return { type: 'welcome' };
    case 'refused': {
      only('code', 'detail');
      const code = refusalCodes.find((known) => known === fields.code);
      if (code === undefined) throw new ControlMessageError('a known "code"');
      return { type: 'refused', code, detail: text(fields.detail, 'detail', maxDetailLength) };
    }
    case 'announce':
      only('announcement');
      return { type: 'announce', announcement: text(fields.announcement, 'announcement', maxAnnouncementBytes) };
    default:
      throw new ControlMessageError('a known "type"');
  }
}

function bytes32(value: unknown, field: string): Bytes32 {
  if (!isHexOf(value, 32)) throw new ControlMessageError(`a "${field}" of 32 bytes`);
  return value.toLowerCase() as Bytes32;
}

function text(value: unknown, field: string, max: number): string {
  if (typeof value !== 'string' || value.length > max || !value.isWellFormed())
    throw new ControlMessageError(`a "${field}" of at most ${max} characters`);
  return value;
}

export class ControlMessageError extends CloisterError<'CONTROL_MESSAGE_MALFORMED'> {
  override readonly name = 'ControlMessageError';
  constructor(expected: string, cause?: unknown) {
    super({
      code: 'CONTROL_MESSAGE_MALFORMED',
      message: `Expected a control message with ${expected}`,
      hint: 'Both sides must speak the same version of the relay protocol',
      cause,
    });
  }
}
