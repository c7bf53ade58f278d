import { concatBytes, fromHex, keccak256, toHex } from '@cloister/crypto';
import { abiEncodeWords, tagHash } from './abi.ts';
import type { Address, Bytes32 } from './hex.ts';

/** What a worker's quote is bound to. */
export type WorkerBinding = {
  readonly chainId: number;
  readonly registry: Address;
  readonly operator: Address;
  readonly receiptSigner: Address;
  /** H(appsPublicKey, beaconPublicKey), or zero before the committee exists. */
  readonly networkKeysHash: Bytes32;
};

/** The first half of report_data: H("cloister/worker: v1", chainId, registry, operator, receiptSigner, networkKeysHash). */
export function workerBindingHash(binding: WorkerBinding): Bytes32 {
  return tagHash(
    'cloister/worker: v1',
    binding.chainId,
    binding.registry,
    binding.operator,
    binding.receiptSigner,
    binding.networkKeysHash,
  );
}

/** report_data, 64 bytes: the binding hash and the hash of a block at most an hour old. */
export function workerReportData(binding: WorkerBinding, blockHash: Bytes32): Uint8Array {
  return concatBytes(fromHex(workerBindingHash(binding)), fromHex(blockHash));
}

/** What a gatekeeper's quote is bound to. */
export type GatekeeperBinding = {
  readonly chainId: number;
  /** The GatekeeperCommittee. */
  readonly committee: Address;
  readonly operator: Address;
  readonly signer: Address;
  /** X25519 key that shares are sealed to. */
  readonly hpkeKey: Bytes32;
  /** As for a worker: zero before the committee has keys. */
  readonly networkKeysHash: Bytes32;
};

/** The first half of its report_data: H("cloister/gatekeeper: v1", chainId, committee, operator, H(signer, hpkeKey), networkKeysHash). */
export function gatekeeperBindingHash(binding: GatekeeperBinding): Bytes32 {
  return tagHash(
    'cloister/gatekeeper: v1',
    binding.chainId,
    binding.committee,
    binding.operator,
    toHex(keccak256(abiEncodeWords(binding.signer, binding.hpkeKey))),
    binding.networkKeysHash,
  );
}

/** report_data, 64 bytes: the binding hash and the hash of a block at most an hour old. */
export function gatekeeperReportData(binding: GatekeeperBinding, blockHash: Bytes32): Uint8Array {
  return concatBytes(fromHex(gatekeeperBindingHash(binding)), fromHex(blockHash));
}

/** One loading of an app's version by one worker: what its quotes and its events belong to. */
export type GuestInstance = {
  /** The worker's signer at that time: a restarted worker has another. */
  readonly receiptSigner: Address;
  readonly app: Bytes32;
  readonly manifest: Bytes32;
  readonly keyVersion: number;
  /** Random, made by the worker. */
  readonly nonce: Bytes32;
};

/** H("cloister/guest-instance: v1", receiptSigner, app, manifest, keyVersion, nonce): so a guest's quote names code and worker, too. */
export function guestInstanceId({ receiptSigner, app, manifest, keyVersion, nonce }: GuestInstance): Bytes32 {
  return tagHash('cloister/guest-instance: v1', receiptSigner, app, manifest, keyVersion, nonce);
}

/** What a quote is bound to that an app has asked for. */
export type GuestBinding = {
  readonly chainId: number;
  readonly registry: Address;
  readonly app: Bytes32;
  readonly instance: Bytes32;
};

/** The first half of its report_data: H("cloister/app: v1", chainId, registry, app, instance, keccak256(x)), x being what the app chose. */
export function guestBindingHash({ chainId, registry, app, instance }: GuestBinding, x: Uint8Array): Bytes32 {
  return tagHash('cloister/app: v1', chainId, registry, app, instance, toHex(keccak256(x)));
}

/**
 * report_data, 64 bytes: the binding hash and 32 zeros. No block has the hash zero, and no other record begins with this tag: neither
 * registry nor client takes it for a worker's or a gatekeeper's, whatever the app chose.
 */
export function guestReportData(binding: GuestBinding, x: Uint8Array): Uint8Array {
  return concatBytes(fromHex(guestBindingHash(binding, x)), new Uint8Array(32));
}
