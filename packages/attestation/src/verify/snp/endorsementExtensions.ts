import { AttestationError } from '../errors.ts';
import type { Certificate } from '../x509/certificate.ts';
import { DerReader, hexOf, tags } from '../x509/der.ts';
import type { SnpProduct } from './product.ts';
import type { SnpTcb } from './tcb.ts';

/** What a VCEK or VLEK certificate says of the key's origin (AMD, "VCEK Certificate and KDS Interface Specification", tables 8 to 11). */
export type EndorsementExtensions = {
  /** Such as `Milan-B0`, `Turin`. */
  readonly productName: string;
  /** The versions that the key was derived for. */
  readonly tcb: SnpTcb;
  /** VCEK: the chip, 64 bytes, of Turin 8. */
  readonly hwId: Uint8Array | undefined;
  /** VLEK: the cloud. */
  readonly cspId: string | undefined;
};

/** Under 1.3.6.1.4.1.3704.1. */
const amd = '2b060104019c7801';
const oids = {
  structVersion: `${amd}01`,
  productName: `${amd}02`,
  bootloader: `${amd}0301`,
  tee: `${amd}0302`,
  snp: `${amd}0303`,
  reserved: [`${amd}0304`, `${amd}0305`, `${amd}0306`, `${amd}0307`],
  microcode: `${amd}0308`,
  fmc: `${amd}0309`,
  hwId: `${amd}04`,
  cspId: `${amd}05`,
} as const;

/**
 * Reads the extensions of the key that signs reports, in the form that its product has. Throws MALFORMED_DER,
 * MALFORMED_CERTIFICATE.
 */
export function readEndorsementExtensions(
  certificate: Certificate,
  product: SnpProduct,
  signer: 'vcek' | 'vlek',
): EndorsementExtensions {
  const { place, otherExtensions } = certificate;
  const value = (id: string, what: string): Uint8Array => {
    const bytes = otherExtensions.get(id);
    if (bytes === undefined) throw malformed(place, `Expected the extension of ${what}`);
    return bytes;
  };
  const version = (id: string, what: string): number => {
    const reader = new DerReader(value(id, what), `${place}.${what}`);
    const number = reader.smallInteger(255, what);
    reader.finish(what);
    return number;
  };
  const text = (id: string, what: string): string => {
    const reader = new DerReader(value(id, what), `${place}.${what}`);
    const bytes = reader.read(tags.ia5String, what);
    reader.finish(what);
    if (bytes.length > 64 || bytes.some((byte) => byte < 0x20 || byte > 0x7e))
      throw malformed(place, `Expected ${what} of at most 64 characters`);
    return String.fromCharCode(...bytes);
  };

  version(oids.structVersion, 'structVersion');
  for (const id of oids.reserved)
    if (otherExtensions.has(id) && version(id, 'a reserved version') !== 0)
      throw malformed(place, `Expected reserved version "${id}" to be zero`);
  const isTurin = product === 'Turin';
  if (!isTurin && otherExtensions.has(oids.fmc)) throw malformed(place, `Expected no FMC version of "${product}"`);
  return {
    productName: text(oids.productName, 'productName'),
    tcb: {
      fmc: isTurin ? version(oids.fmc, 'fmcSPL') : null,
      bootloader: version(oids.bootloader, 'blSPL'),
      tee: version(oids.tee, 'teeSPL'),
      snp: version(oids.snp, 'snpSPL'),
      microcode: version(oids.microcode, 'ucodeSPL'),
    },
    ...readOwner(),
  };

  /** A chip's own key names the chip, a loaded one the cloud; never both. */
  function readOwner(): Pick<EndorsementExtensions, 'hwId' | 'cspId'> {
    const [has, hasNot] = signer === 'vcek' ? [oids.hwId, oids.cspId] : [oids.cspId, oids.hwId];
    if (otherExtensions.has(hasNot)) throw malformed(place, `Expected no extension "${hasNot}" of a ${signer}`);
    if (signer === 'vlek') return { hwId: undefined, cspId: text(has, 'cspID') };
    const hwId = value(has, 'hwID');
    const length = isTurin ? 8 : 64;
    if (hwId.length !== length)
      throw malformed(place, `Expected a hwID of ${length} bytes, got "${hexOf(hwId.subarray(0, 64))}"`);
    return { hwId, cspId: undefined };
  }
}

function malformed(place: string, message: string): AttestationError {
  return new AttestationError({ code: 'MALFORMED_CERTIFICATE', place, message: `${message} at "${place}"` });
}
