// Writes test/support/recordedPlatform.json: a synthetic manufacturer's collateral and one platform's quote. Sizes are those
// of Intel's: a certificate of 1.3 kB, TCB info of 2.9 kB, a list of 50 revoked certificates. Run it only where a form
// changes: every measured gas value moves with it.
import { writeFile } from 'node:fs/promises';
import { platformOfQuote } from '@cloister/attestation/onchain';
import {
  createSimulatedPlatform,
  extension,
  type JsonObject,
  makeSimulatedRoot,
  mintCollateral,
  mintQuote,
  randomSerial,
  sgxExtension,
} from '@cloister/attestation/unsafe-simulated';
import { bytesToHex, concatBytes, hexToBytes, stringToBytes } from 'viem';
import { defaultMrtd, defaultRtmrs, networkFileId } from '../test/support/evidence.ts';
import { type PlatformRecord, recordedAt, recordPath } from '../test/support/recordedPlatform.ts';

const root = makeSimulatedRoot(recordedAt);
/** In place of Intel's CRL distribution points, of their length. */
const distributionPoints = extension('2.5.29.31', stringToBytes('-'.repeat(116)));
const { tcb } = createSimulatedPlatform(root, { now: recordedAt });
const platform = createSimulatedPlatform(root, {
  now: recordedAt,
  tcb,
  certificate: { extensions: [distributionPoints, sgxExtension(tcb)] },
});

const collateral = mintCollateral(root, {
  issuedAt: recordedAt - 3600,
  revokedPcks: Array.from({ length: 50 }, randomSerial),
  editTcbInfo: likeIntels,
});
const [rtmr0, rtmr1, rtmr2] = defaultRtmrs;
const quote = mintQuote(platform, {
  mrtd: hexToBytes(defaultMrtd),
  rtmr0: hexToBytes(rtmr0),
  rtmr1: hexToBytes(rtmr1),
  rtmr2: hexToBytes(rtmr2),
  mrConfigId: concatBytes([hexToBytes(networkFileId), new Uint8Array(16)]),
  reportData: new Uint8Array(64),
});
const { d = '' } = platform.attestationKey.privateKey.export({ format: 'jwk' });
const { publicKey } = root.root.key;
const record: PlatformRecord = {
  rootX: bytesToHex(publicKey.subarray(0, 32)),
  rootY: bytesToHex(publicKey.subarray(32)),
  collateral,
  quote: bytesToHex(quote),
  attestationKey: bytesToHex(Buffer.from(d, 'base64url')),
};
await writeFile(recordPath, `${JSON.stringify(record, null, 2)}\n`);
console.log(`certificate ${platformOfQuote(quote).certificate.length} B, TCB info ${collateral.tcb_info.length} B`);

/** With a second module, and what Intel says of components. */
function likeIntels(info: JsonObject): JsonObject {
  const [module] = info.tdxModuleIdentities as readonly [JsonObject];
  const describe = (component: JsonObject, index: number): JsonObject =>
    index < 7 ? { ...component, category: 'OS/VMM', type: 'SGX Late Microcode Update' } : component;
  const described = (level: JsonObject): JsonObject => {
    const levelTcb = level.tcb as { readonly sgxtcbcomponents: readonly JsonObject[] };
    return { ...level, tcb: { ...levelTcb, sgxtcbcomponents: levelTcb.sgxtcbcomponents.map(describe) } };
  };
  return {
    ...info,
    tdxModuleIdentities: [{ ...module, id: 'TDX_03' }, module],
    tcbLevels: (info.tcbLevels as readonly JsonObject[]).map(described),
  };
}
