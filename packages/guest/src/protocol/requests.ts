import { SchemaError, schema as z } from '@cloister/core';
import { fromHex } from '@cloister/crypto';
import { GuestError } from '../guestError.ts';
import { maxKeyNameBytes } from '../guestKeys.ts';
import { maxAltNames } from '../tls/tlsRequest.ts';

/** Bytes that one request signs or verifies. */
export const maxSignedBytes = 64 * 1024;
/** Characters of one request: what is signed, in hexadecimal, and the rest. */
export const maxRequestBytes = 2 * maxSignedBytes + 16 * 1024;
const maxUnixSeconds = 0xffff_ffff;

/** At most so many bytes in hexadecimal, with 0x or without. */
const hexBytes = (max: number) =>
  z.union([z.pattern(/^(?:[0-9a-fA-F]{2})*$/, 2 * max), z.pattern(/^0x(?:[0-9a-fA-F]{2})*$/, 2 * max + 2)]);
const optional = z.exactOptional;
const name = z.text(maxKeyNameBytes);
const altNames = optional(z.array(z.text(256)).check(z.refineArray(0, maxAltNames)));
const time = optional(z.uint(maxUnixSeconds));

/** The requests of dstack's guest agent, field by field (Dstack-TEE/dstack, `agent_rpc.proto`). What is unknown is refused. */
export const guestRequests = {
  GetKey: reader(
    'GetKey',
    z.strictObject({ path: optional(name), purpose: optional(name), algorithm: optional(z.text(64)) }),
  ),
  GetTlsKey: reader(
    'GetTlsKey',
    z.strictObject({
      subject: optional(z.text(256)),
      alt_names: altNames,
      usage_ra_tls: optional(z.boolean()),
      usage_server_auth: optional(z.boolean()),
      usage_client_auth: optional(z.boolean()),
      not_before: time,
      not_after: time,
      with_app_info: optional(z.boolean()),
    }),
  ),
  GetQuote: reader('GetQuote', z.strictObject({ report_data: hexBytes(64) })),
  EmitEvent: reader('EmitEvent', z.strictObject({ event: z.text(256), payload: hexBytes(maxSignedBytes) })),
  Sign: reader('Sign', z.strictObject({ algorithm: z.text(64), data: hexBytes(maxSignedBytes) })),
  Verify: reader(
    'Verify',
    z.strictObject({
      algorithm: z.text(64),
      data: hexBytes(maxSignedBytes),
      signature: hexBytes(256),
      public_key: hexBytes(256),
    }),
  ),
  None: reader('request', z.strictObject({})),
  DeriveKey: reader(
    'Tappd.DeriveKey',
    z.strictObject({ path: optional(name), subject: optional(z.text(256)), alt_names: altNames }),
  ),
  TdxQuote: reader(
    'Tappd.TdxQuote',
    z.strictObject({ report_data: hexBytes(maxSignedBytes), hash_algorithm: optional(z.text(64)) }),
  ),
} as const;

/** Bytes of a field that a reader here has let pass. */
export function bytesOf(hex: string): Uint8Array {
  return fromHex(hex.startsWith('0x') ? hex : `0x${hex}`);
}

function reader<Out>(what: string, form: Parameters<typeof z.parseWith<Out>>[0]): (json: unknown) => Out {
  return (json) => {
    try {
      return z.parseWith(form, json, what);
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      throw new GuestError('GUEST_REQUEST_INVALID', error.message, 'Compare it with docs/guest.md');
    }
  };
}
