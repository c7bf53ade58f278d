import type { AttestationDevice } from '@cloister/attestation/attest';
import { quoteOf } from '@cloister/attestation/verify';
import type { Address, Json } from '@cloister/core';
import { concatBytes, fromHex, toHex } from '@cloister/crypto';

/** The device's part that makes such reports. */
export type QuotingDevice = Pick<AttestationDevice, 'kind' | 'quote'>;

/**
 * What verifiers of NEAR AI and RedPill expect in a quote: [0:32] the address that signs answers, zeros after it, [32:64] the caller's nonce.
 * No registration takes it: there [0:32] is a hash of a tagged tuple, whose last twelve bytes would all have to be zero, and the address is
 * that of a key made here. The caller chooses the second half alone.
 */
export function redpillReportData(signer: Address, nonce: Uint8Array): Uint8Array {
  if (nonce.length !== 32) throw new RangeError(`A nonce has 32 bytes, not ${nonce.length}`);
  return concatBytes(fromHex(signer), new Uint8Array(12), nonce);
}

/**
 * A fresh report for a nonce, in the form that those verifiers read; undefined on a machine whose evidence is no Intel quote. No GPU stands
 * behind it: its list of GPUs is empty. Throws DeviceError, ABORTED.
 */
export async function attestationReport(
  device: QuotingDevice,
  signer: Address,
  nonce: Uint8Array,
  signal: AbortSignal,
): Promise<{ [key: string]: Json } | undefined> {
  if (device.kind !== 'tdx') return undefined;
  const quote = quoteOf(await device.quote(redpillReportData(signer, nonce), { signal }));
  const requestNonce = bareHex(nonce);
  const attestation = {
    signing_address: signer,
    signing_algo: 'ecdsa',
    request_nonce: requestNonce,
    intel_quote: bareHex(quote),
    nvidia_payload: JSON.stringify({ nonce: requestNonce, evidence_list: [], arch: '' }),
    // Of dstack: a compose file, which there is none of here.
    info: { tcb_info: {} },
  };
  return { ...attestation, all_attestations: [attestation] };
}

const bareHex = (bytes: Uint8Array): string => toHex(bytes).slice(2);
