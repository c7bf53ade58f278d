import { AttestationError } from '../errors.ts';
import { devPrefix, type RoleTableName } from '../roots.ts';
import type { Certificate } from '../x509/certificate.ts';

/** What a certificate is for. A key of one role never signs for another. */
export type Role = 'root' | 'pckCa' | 'pck' | 'tcbSigning';

/** Common names by role (Intel, "Intel SGX PCK Certificate and Certificate Revocation List Profile Specification", §3). */
const intelNames: Readonly<Record<Role, readonly string[]>> = {
  root: ['Intel SGX Root CA'],
  pckCa: ['Intel SGX PCK Processor CA', 'Intel SGX PCK Platform CA'],
  pck: ['Intel SGX PCK Certificate'],
  tcbSigning: ['Intel SGX TCB Signing'],
};

const roleTables: Readonly<Record<RoleTableName, Readonly<Record<Role, readonly string[]>>>> = {
  vendor: intelNames,
  dev: {
    root: intelNames.root.map((name) => devPrefix + name),
    pckCa: intelNames.pckCa.map((name) => devPrefix + name),
    pck: intelNames.pck.map((name) => devPrefix + name),
    tcbSigning: intelNames.tcbSigning.map((name) => devPrefix + name),
  },
};

/** The common name of a role in a table; the PCK CA of platforms with several packages is "Platform", else "Processor". */
export function commonNameOf(role: Role, table: RoleTableName, pckCa: 'processor' | 'platform' = 'platform'): string {
  const [first = '', second = first] = roleTables[table][role];
  return pckCa === 'platform' ? second : first;
}

/** Refuses a certificate whose common name is not exactly one of its role's. Throws WRONG_ROLE. */
export function assertRole(certificate: Certificate, role: Role, table: RoleTableName): void {
  const names = roleTables[table][role];
  if (!names.includes(certificate.commonName))
    throw new AttestationError({
      code: 'WRONG_ROLE',
      place: certificate.place,
      value: certificate.commonName,
      message: `Expected "${certificate.place}" to be issued to "${names.join('" or "')}", got "${certificate.commonName}"`,
    });
}
