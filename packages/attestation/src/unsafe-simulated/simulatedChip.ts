import { concatBytes, randomBytes } from '@cloister/crypto';
import { devPrefix, type TrustRoot, trustRootOfSpki } from '../verify/roots.ts';
import { der, integer } from './derWriter.ts';
import { extension } from './issueCertificate.ts';
import { randomSerial, signsCertificates, signsData } from './simulatedRoot.ts';
import { type AnyCertificateSpec, type AnyKey, issue, issueList, makeKey, signP384 } from './vendorCertificate.ts';

/** A key of any kind with the certificate that says what it is for. */
export type CertifiedAnyKey = {
  readonly key: AnyKey;
  /** DER. */
  readonly certificate: Uint8Array;
};

/** AMD made up, as far as reports need it: ARK and ASK of one line of processors. Every name in it begins with "DEV unsafe simulated". */
export type SimulatedSnpRoot = {
  readonly ark: CertifiedAnyKey;
  readonly ask: CertifiedAnyKey;
  readonly trustRoot: TrustRoot;
};

/** One made-up chip with the key that signs its reports. */
export type SimulatedChip = {
  readonly root: SimulatedSnpRoot;
  readonly vcek: CertifiedAnyKey;
  /** 64 bytes. */
  readonly chipId: Uint8Array;
};

const product = 'Genoa';
const names = {
  ark: `${devPrefix}ARK-${product}`,
  ask: `${devPrefix}SEV-${product}`,
  vcek: `${devPrefix}SEV-VCEK`,
};
/** Versions of simulated firmware, at the floors of a real network. */
const tcb = { bootloader: 9, tee: 0, snp: 0x1b, microcode: 84 } as const;
/** CPUID family, model, stepping. */
const cpuid = [0x19, 0x11, 1];
const day = 86_400;

/** A fresh ARK and ASK, in memory. @param now Unix seconds */
export function makeSimulatedSnpRoot(now: number): SimulatedSnpRoot {
  const [ark, ask] = [makeKey('rsa'), makeKey('rsa')];
  const dates = { serial: randomSerial(), notBefore: now - day, notAfter: now + 3_650 * day };
  const ca = { ...dates, isCa: true, keyUsage: signsCertificates, issuer: names.ark, signer: ark };
  return snpRootOf(
    { key: ark, certificate: issue({ ...ca, subject: names.ark, key: ark }) },
    {
      key: ask,
      certificate: issue({
        ...ca,
        serial: randomSerial(),
        subject: names.ask,
        key: ask,
        pathLength: 0,
        keyUsage: 0x04,
        issuerKey: ark,
      }),
    },
  );
}

/** The root of certified keys. */
export function snpRootOf(ark: CertifiedAnyKey, ask: CertifiedAnyKey): SimulatedSnpRoot {
  return { ark, ask, trustRoot: { ...trustRootOfSpki(ark.key.spki, 'amd'), name: names.ark } };
}

/** A fresh chip below it, in memory. @param now Unix seconds */
export function makeSimulatedChip(root: SimulatedSnpRoot, now: number): SimulatedChip {
  const key = makeKey('p384');
  const chipId = randomBytes(64);
  const extensions = {
    '1': integer(1),
    '2': der(0x16, Buffer.from(`${product}-B0`)),
    '3.1': integer(tcb.bootloader),
    '3.2': integer(tcb.tee),
    '3.3': integer(tcb.snp),
    '3.5': integer(0),
    '3.8': integer(tcb.microcode),
    '4': chipId,
  };
  const spec: AnyCertificateSpec = {
    subject: names.vcek,
    issuer: names.ask,
    key,
    signer: root.ask.key,
    // As AMD's have it.
    serial: Uint8Array.of(0),
    notBefore: now - day,
    notAfter: now + 2_555 * day,
    isCa: undefined,
    keyUsage: signsData,
    extensions: Object.entries(extensions).map(([id, value]) => extension(`1.3.6.1.4.1.3704.1.${id}`, value)),
  };
  return { root, vcek: { key, certificate: issue(spec) }, chipId };
}

/** The ARK's revocation list, DER. Unix seconds. */
export function mintSnpList(
  { ark }: SimulatedSnpRoot,
  dates: { readonly thisUpdate: number; readonly nextUpdate: number },
): Uint8Array {
  return issueList({ ...dates, issuer: names.ark, signer: ark.key, revoked: [] });
}

export type SnpGuest = {
  /** 48 bytes. */
  readonly measurement: Uint8Array;
  /** 32 bytes. */
  readonly hostData: Uint8Array;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
};

/** A report of version 3, signed by the chip's key (AMD, "SEV Secure Nested Paging Firmware ABI Specification", table 23). */
export function mintSnpReport({ vcek, chipId }: SimulatedChip, guest: SnpGuest): Uint8Array {
  const report = new Uint8Array(1184);
  const view = new DataView(report.buffer);
  view.setUint32(0x00, 3, true);
  // SMT allowed, and the bit that must be one: no debug, no migration agent.
  view.setBigUint64(0x08, 0x3_0000n, true);
  view.setUint32(0x34, 1, true);
  const versions = Uint8Array.of(tcb.bootloader, tcb.tee, 0, 0, 0, 0, tcb.snp, tcb.microcode);
  for (const at of [0x38, 0x180, 0x1e0, 0x1f0]) report.set(versions, at);
  report.set(guest.reportData, 0x50);
  report.set(guest.measurement, 0x90);
  report.set(guest.hostData, 0xc0);
  report.set(randomBytes(32), 0x140);
  report.fill(0xff, 0x160, 0x180);
  report.set(cpuid, 0x188);
  report.set(chipId, 0x1a0);
  const signature = signP384(vcek.key, report.subarray(0, 0x2a0));
  // R and S little-endian, in 72 bytes each.
  report.set(concatBytes(signature.slice(0, 48).reverse()), 0x2a0);
  report.set(concatBytes(signature.slice(48).reverse()), 0x2e8);
  return report;
}
