import { AttestationError } from '../errors.ts';
import type { Certificate } from '../x509/certificate.ts';
import { DerReader, tags } from '../x509/der.ts';

/** tcg-dice-CompositeDeviceID, 2.23.133.5.4.1, and SHA-384. */
const deviceId = '678105050401';
const sha384 = '608648016503040202';

/**
 * The digest of the firmware that a GPU's certificate was made for, 48 bytes: `SEQUENCE { version 1, key of the device, SEQUENCE { SHA-384,
 * OCTET STRING } }` (TCG, "Implicit Identity Based Device Attestation", §3.2). Throws MALFORMED_CERTIFICATE, MALFORMED_DER.
 */
export function firmwareOf({ otherExtensions, place }: Certificate): Uint8Array {
  const value = otherExtensions.get(deviceId);
  if (value === undefined)
    throw new AttestationError({
      code: 'MALFORMED_CERTIFICATE',
      place,
      message: `Expected "${place}" to name the firmware of its GPU`,
    });
  const outer = new DerReader(value, `${place}.deviceId`);
  const id = outer.enter(tags.sequence, 'the device id');
  outer.finish('the device id');
  if (id.smallInteger(0xff, 'the version') !== 1) throw id.fail('Expected version 1 of the device id');
  id.element(tags.sequence, 'the key of the device');
  const firmware = id.enter(tags.sequence, 'the firmware id');
  id.finish('the device id');
  if (firmware.oid('the hash of the firmware') !== sha384) throw firmware.fail('Expected a firmware id by SHA-384');
  const digest = firmware.read(tags.octetString, 'the firmware id');
  firmware.finish('the firmware id');
  if (digest.length !== 48) throw firmware.fail('Expected a firmware id of 48 bytes');
  return digest;
}
