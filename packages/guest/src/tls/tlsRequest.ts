import { isIP } from 'node:net';
import { GuestError } from '../guestError.ts';

/** What a certificate is wanted for. Times in unix seconds. */
export type TlsRequest = {
  readonly subject: string;
  readonly altNames: readonly string[];
  readonly serverAuth: boolean;
  readonly clientAuth: boolean;
  readonly notBefore?: number | undefined;
  readonly notAfter?: number | undefined;
  /** With a quote over the key. */
  readonly withQuote: boolean;
  /** With the statement of which instance it is. */
  readonly withStatement: boolean;
};

export type AltName = { readonly kind: 'dns' | 'ip'; readonly name: string };

export const maxAltNames = 16;
/** As X.520 bounds a common name. */
const maxSubjectCharacters = 64;
const day = 86_400;
const defaultDays = 90;
export const maxCertificateDays = 398;
/** Clocks of those who connect may be behind. */
const backdateSeconds = 300;

const dnsName = /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/** Throws GUEST_CERTIFICATE_REFUSED. */
export function checkedAltNames(names: readonly string[]): readonly AltName[] {
  if (names.length > maxAltNames)
    throw refused(`A certificate has at most "${maxAltNames}" alternative names, got "${names.length}"`);
  return names.map((name) => {
    if (isIP(name) !== 0) return { kind: 'ip', name };
    // All digits in the last label: an address that somebody else would read as one.
    if (name.length > 253 || !dnsName.test(name) || /(?:^|\.)[0-9]+$/.test(name))
      throw refused(`An alternative name is a DNS name or an IP address, got "${name.slice(0, 80)}"`);
    return { kind: 'dns', name: name.toLowerCase() };
  });
}

/** Throws GUEST_CERTIFICATE_REFUSED. */
export function checkedSubject(subject: string, otherwise: string): string {
  if (subject === '') return otherwise;
  if (subject.length > maxSubjectCharacters || !/^[\x20-\x7e]+$/.test(subject))
    throw refused(
      `A subject has at most "${maxSubjectCharacters}" printable characters, got "${subject.slice(0, 80)}"`,
    );
  return subject;
}

/** When a certificate begins and ends. Throws GUEST_CERTIFICATE_REFUSED. */
export function checkedTimes(
  { notBefore, notAfter }: Pick<TlsRequest, 'notBefore' | 'notAfter'>,
  now: number,
): { readonly notBefore: number; readonly notAfter: number } {
  const begin = notBefore ?? now - backdateSeconds;
  const end = notAfter ?? Math.max(begin, now) + defaultDays * day;
  if (
    begin < now - maxCertificateDays * day ||
    end <= begin ||
    end - begin > maxCertificateDays * day + backdateSeconds
  )
    throw refused(
      `A certificate holds for at most "${maxCertificateDays}" days and begins no longer ago, got "${begin}" to "${end}"`,
    );
  return { notBefore: begin, notAfter: end };
}

function refused(message: string): GuestError {
  return new GuestError('GUEST_CERTIFICATE_REFUSED', message);
}
