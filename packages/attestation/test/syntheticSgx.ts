import { concatBytes } from '@cloister/crypto';
import { type JsonObject, mintCollateral, signP256 } from '../src/unsafe-simulated/index.ts';
import type { Collateral } from '../src/verify/index.ts';
import { makeWorld, now, sharedRoot } from './synthetic.ts';

/** The platform that the enclave runs on. */
export const sgxWorld = makeWorld();

/** A version-3 quote: the synthetic TDX quote's certification around an enclave's report. */
export function sgxQuote(attributes = 0x05, edit: (report: Uint8Array) => void = () => {}): Uint8Array {
  const header = Uint8Array.from(sgxWorld.quote.subarray(0, 48));
  header[0] = 3;
  header[4] = 0;
  const report = new Uint8Array(384);
  report[48] = attributes;
  report.fill(0x11, 64, 96);
  report.fill(0x22, 128, 160);
  report.set([7, 0, 9, 0], 256);
  report.fill(0x33, 320, 384);
  edit(report);
  const signedPart = concatBytes(header, report);
  const certification = sgxWorld.quote.subarray(770);
  const signatureData = concatBytes(
    signP256(sgxWorld.platform.attestationKey, signedPart),
    sgxWorld.platform.attestationKey.publicKey,
    certification,
  );
  const length = Uint8Array.of(signatureData.length & 0xff, signatureData.length >> 8, 0, 0);
  return concatBytes(signedPart, length, signatureData);
}

/** Collateral of the SGX kind. */
export const sgxCollateral = (edit: (info: JsonObject) => JsonObject = (info) => info): Collateral =>
  mintCollateral(sharedRoot, {
    issuedAt: now - 60,
    editTcbInfo: (info) => edit({ ...info, id: 'SGX' }),
    editQeIdentity: (identity) => ({ ...identity, id: 'QE' }),
  });
