import { der, enumerated, integer, octetString, oid, sequence } from './derWriter.ts';
import { extension } from './issueCertificate.ts';

/** What a PCK certificate says of its platform. */
export type PlatformTcb = {
  /** 16 bytes. */
  readonly ppid: Uint8Array;
  /** 16 SGX component SVNs; the CPU SVN repeats them. */
  readonly components: readonly number[];
  readonly pceSvn: number;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
};

const sgx = '1.2.840.113741.1.13.1';

/** Intel's SGX extension of a PCK certificate, as a platform CA issues it. */
export function sgxExtension(tcb: PlatformTcb): Uint8Array {
  const field = (id: string, value: Uint8Array): Uint8Array => sequence(oid(`${sgx}.${id}`), value);
  return extension(
    sgx,
    sequence(
      field('1', octetString(tcb.ppid)),
      field(
        '2',
        sequence(
          ...tcb.components.map((svn, index) => field(`2.${index + 1}`, integer(svn))),
          field('2.17', integer(tcb.pceSvn)),
          field('2.18', octetString(Uint8Array.from(tcb.components))),
        ),
      ),
      field('3', octetString(tcb.pceId)),
      field('4', octetString(tcb.fmspc)),
      field('5', enumerated(1)),
      field('6', octetString(tcb.ppid)),
      field('7', sequence(...['1', '2', '3'].map((id) => field(`7.${id}`, der(0x01, Uint8Array.of(0xff)))))),
    ),
  );
}
