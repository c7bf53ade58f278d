import { AttestationError } from '../errors.ts';
import type { Certificate } from '../x509/certificate.ts';
import { DerReader, hexOf, tags } from '../x509/der.ts';

/** Intel's SGX extension of a PCK certificate (Intel, PCK Certificate Profile, §4.1 and OIDs under 1.2.840.113741.1.13.1). */
export type PckExtension = {
  /** 16 bytes: the platform's provisioning id. */
  readonly ppid: string;
  /** SVNs of the 16 SGX TCB components. */
  readonly components: readonly number[];
  readonly pceSvn: number;
  /** 2 bytes. */
  readonly pceId: string;
  /** 6 bytes. */
  readonly fmspc: string;
  /** 16 bytes where a platform CA issued the certificate. */
  readonly platformInstanceId: string | undefined;
};

const sgx = '2a864886f84d010d01';
const oids = {
  ppid: `${sgx}01`,
  tcb: `${sgx}02`,
  pceId: `${sgx}03`,
  fmspc: `${sgx}04`,
  type: `${sgx}05`,
  platformInstanceId: `${sgx}06`,
  configuration: `${sgx}07`,
} as const;
const pceSvnIndex = 17;
const cpuSvnIndex = 18;

/** Reads the extension strictly: each field once, of its exact length. Throws MALFORMED_DER, MALFORMED_CERTIFICATE. All hexadecimal without prefix. */
export function readPckExtension(certificate: Certificate): PckExtension {
  const { place } = certificate;
  const sgxExtension = certificate.otherExtensions.get(sgx);
  if (sgxExtension === undefined) throw malformed(place, 'Expected the SGX extension');
  const outer = new DerReader(sgxExtension, `${place}.sgxExtension`);
  const list = outer.enter(tags.sequence, 'the SGX extension');
  outer.finish('the SGX extension');
  const seen = new Set<string>();
  let ppid: string | undefined;
  let tcb: { components: number[]; pceSvn: number } | undefined;
  let pceId: string | undefined;
  let fmspc: string | undefined;
  let platformInstanceId: string | undefined;
  while (!list.done) {
    const pair = list.enter(tags.sequence, 'a field of the SGX extension');
    const id = pair.oid('the id of a field');
    if (seen.has(id)) throw malformed(place, `Expected field "${id}" of the SGX extension once`);
    seen.add(id);
    if (id === oids.ppid) ppid = octets(pair, 16, 'the PPID');
    else if (id === oids.tcb) tcb = readTcb(pair, place);
    else if (id === oids.pceId) pceId = octets(pair, 2, 'the PCE id');
    else if (id === oids.fmspc) fmspc = octets(pair, 6, 'the FMSPC');
    else if (id === oids.type) pair.smallInteger(255, 'the SGX type', tags.enumerated);
    else if (id === oids.platformInstanceId) platformInstanceId = octets(pair, 16, 'the platform instance id');
    else if (id === oids.configuration) pair.read(tags.sequence, 'the configuration');
    else throw malformed(place, `Expected no unknown field of the SGX extension, got "${id}"`);
    pair.finish('a field of the SGX extension');
  }
  if (ppid === undefined || tcb === undefined || pceId === undefined || fmspc === undefined)
    throw malformed(place, 'Expected PPID, TCB, PCE id and FMSPC in the SGX extension');
  return { ppid, ...tcb, pceId, fmspc, platformInstanceId };
}

function readTcb(field: DerReader, place: string): { components: number[]; pceSvn: number } {
  const list = field.enter(tags.sequence, 'the TCB');
  const components: number[] = [];
  let pceSvn: number | undefined;
  // Profile: .1 to .16 the components, .17 the PCE SVN, .18 the CPU SVN; always in this order.
  for (let index = 1; index <= cpuSvnIndex; index++) {
    const pair = list.enter(tags.sequence, 'a field of the TCB');
    const expected = `${oids.tcb}${index.toString(16).padStart(2, '0')}`;
    const id = pair.oid('the id of a TCB field');
    if (id !== expected) throw malformed(place, `Expected TCB field "${expected}", got "${id}"`);
    if (index === pceSvnIndex) pceSvn = pair.smallInteger(0xffff, 'the PCE SVN');
    else if (index === cpuSvnIndex) octets(pair, 16, 'the CPU SVN');
    else components.push(pair.smallInteger(255, 'a component SVN'));
    pair.finish('a field of the TCB');
  }
  list.finish('the TCB');
  return { components, pceSvn: pceSvn ?? 0 };
}

function octets(reader: DerReader, length: number, what: string): string {
  const at = reader.position;
  const bytes = reader.read(tags.octetString, what);
  if (bytes.length !== length) throw reader.fail(`Expected ${what} to be ${length} bytes`, at);
  return hexOf(bytes);
}

function malformed(place: string, message: string): AttestationError {
  return new AttestationError({ code: 'MALFORMED_CERTIFICATE', place, message: `${message} at "${place}"` });
}
