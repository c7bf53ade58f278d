import { keccak256, toHex, utf8 } from '@cloister/crypto';
import type { GuestInstance } from './binding.ts';
import { hashStruct, type RecordDomain, structType, typedDataDigest } from './eip712.ts';
import type { Address, Bytes32, Hex } from './hex.ts';
import { type Json, parseBoundedJson } from './jcs.ts';
import * as z from './schema.ts';

/** What a worker says of the key under which an app's other keys stand: that it comes from the committee's key for this app. */
export type GuestAppKey = {
  readonly app: Bytes32;
  readonly manifest: Bytes32;
  readonly keyVersion: number;
  /** secp256k1, compressed: 33 bytes. */
  readonly publicKey: Uint8Array;
};

const appKeyType = structType('GuestAppKey(bytes32 app,bytes32 manifest,uint32 keyVersion,bytes publicKey)');

/** The EIP-712 digest that the receipt signer signs. */
export function guestAppKeyDigest(
  domain: RecordDomain,
  { app, manifest, keyVersion, publicKey }: GuestAppKey,
): Bytes32 {
  return typedDataDigest(domain, hashStruct(appKeyType, app, manifest, keyVersion, toHex(keccak256(publicKey))));
}

/** What a worker says of the event log of one instance: so many events, and what the register is after them. */
export type GuestLog = {
  readonly instance: Bytes32;
  readonly events: number;
  /** 48 bytes. */
  readonly register: Uint8Array;
};

const logType = structType('GuestLog(bytes32 instance,uint32 events,bytes register)');

/** The EIP-712 digest that the receipt signer signs. */
export function guestLogDigest(domain: RecordDomain, { instance, events, register }: GuestLog): Bytes32 {
  return typedDataDigest(domain, hashStruct(logType, instance, events, toHex(keccak256(register))));
}

/** Which instance a quote of a guest is bound to, part by part, and the newest word on its log. */
export type GuestStatement = GuestInstance & {
  readonly format: 'cloister-guest-1';
  readonly chainId: number;
  readonly registry: Address;
  readonly log: {
    readonly events: number;
    /** 48 bytes. */
    readonly register: Hex;
    /** By the receipt signer, over {@link guestLogDigest}. */
    readonly signature: Hex;
  };
};

/** Everything by which anyone can check what an app is, and that it chose these 64 bytes. */
export type GuestAttestation = {
  readonly format: 'cloister-guest-attestation-1';
  /** What the app chose, 64 bytes: x of the binding. */
  readonly reportData: Hex;
  readonly statement: GuestStatement;
  /** As dstack writes it. */
  readonly eventLog: string;
  /** The evidence document. */
  readonly evidence: { readonly [member: string]: Json };
};

export const maxGuestAttestationBytes = 5 * 1024 * 1024;
const maxEventLogCharacters = 1024 * 1024;

const statementJson = z.strictObject({
  format: z.literal('cloister-guest-1'),
  chainId: z.uint(),
  registry: z.address,
  receiptSigner: z.address,
  app: z.bytes32,
  manifest: z.bytes32,
  keyVersion: z.intBetween(1, 0xffff_ffff),
  nonce: z.bytes32,
  log: z.strictObject({ events: z.uint(0xffff_ffff), register: z.hexOf(48), signature: z.hexOf(65) }),
});

const attestationJson = z.strictObject({
  format: z.literal('cloister-guest-attestation-1'),
  reportData: z.hexOf(64),
  statement: statementJson,
  eventLog: z.text(maxEventLogCharacters),
  evidence: z.jsonObject,
});

/** The statement with its fields in order, for JSON. */
export function guestStatementJson({ log, ...statement }: GuestStatement): Json {
  const { format, chainId, registry, receiptSigner, app, manifest, keyVersion, nonce } = statement;
  return { format, chainId, registry, receiptSigner, app, manifest, keyVersion, nonce, log: { ...log } };
}

export function guestAttestationBytes({ statement, ...attestation }: GuestAttestation): Uint8Array {
  const { format, reportData, eventLog, evidence } = attestation;
  return utf8(
    JSON.stringify({ format, reportData, statement: guestStatementJson(statement), eventLog, evidence } satisfies Json),
  );
}

/** Reads what {@link guestAttestationBytes} writes; nothing in it is checked but the form. Throws JsonError, SchemaError. */
export function parseGuestAttestation(bytes: Uint8Array): GuestAttestation {
  const json = parseBoundedJson(bytes, maxGuestAttestationBytes, 'guest attestation');
  return z.parseWith(attestationJson, json, 'guest attestation') as GuestAttestation;
}
