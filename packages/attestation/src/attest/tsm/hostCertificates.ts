import { toHex } from '@cloister/crypto';
import { DeviceError } from '../deviceError.ts';

/** Certificates that a host hands to its guests, as it gave them and unverified. */
export type HostCertificates = {
  readonly vcek?: Uint8Array;
  readonly vlek?: Uint8Array;
  readonly ask?: Uint8Array;
  readonly ark?: Uint8Array;
};

/** AMD, "SEV-ES Guest-Hypervisor Communication Block Standardization", §4.1.8.1; bytes in the order of the text form. */
const names: Readonly<Record<string, keyof HostCertificates>> = {
  '0x63da758de6644564adc5f4b93be8accd': 'vcek',
  '0xa8074bc2a25a483eaae639c045a0b8a1': 'vlek',
  '0x4ab7b379bbac4fe4a02f05aef327c782': 'ask',
  '0xc0b406a4a803495297433fb6014cd0ae': 'ark',
};
const entryLength = 24;
const maxEntries = 16;

/**
 * The certificates in an SNP auxblob: entries {GUID, u32 offset, u32 length} up to one of zeros, then the certificates.
 * Nothing at all, or zeros alone, is a host that gives none; keys that are not known are passed over. Throws
 * DEVICE_REPLY_MALFORMED.
 */
export function readHostCertificates(auxblob: Uint8Array | undefined): HostCertificates {
  const found: { -readonly [Name in keyof HostCertificates]: HostCertificates[Name] } = {};
  if (auxblob === undefined || auxblob.length === 0) return found;
  const view = new DataView(auxblob.buffer, auxblob.byteOffset, auxblob.byteLength);
  for (let index = 0; index < maxEntries; index++) {
    const at = index * entryLength;
    if (at + entryLength > auxblob.length) throw malformed(`Expected an entry at byte ${at}, the table ends`);
    const entry: Uint8Array = auxblob.subarray(at, at + entryLength);
    if (entry.every((byte) => byte === 0)) return found;
    const offset = view.getUint32(at + 16, true);
    const length = view.getUint32(at + 20, true);
    if (offset + length > auxblob.length)
      throw malformed(`Expected ${length} bytes at ${offset}, the table has "${auxblob.length}"`);
    const name: keyof HostCertificates | undefined = names[toHex(entry.subarray(0, 16))];
    if (name === undefined) continue;
    if (found[name] !== undefined) throw malformed(`Expected one certificate "${name}", got two`);
    found[name] = auxblob.slice(offset, offset + length);
  }
  throw malformed(`Expected at most ${maxEntries} certificates`);
}

function malformed(problem: string): DeviceError {
  return new DeviceError({
    code: 'DEVICE_REPLY_MALFORMED',
    message: `Expected a certificate table from the host: ${problem}`,
  });
}
