import type { Bytes32, GuestStatement } from '@cloister/core';
import { concatBytes, sha512, utf8 } from '@cloister/crypto';
import { GuestError } from '../guestError.ts';
import type { GuestKeys } from '../guestKeys.ts';
import { type AppCa, certificatePem, issueAppCa, issueLeaf } from './certificate.ts';
import { generateP256, type P256Key, p256Of, privateKeyPem } from './p256.ts';
import { checkedAltNames, checkedSubject, checkedTimes, type TlsRequest } from './tlsRequest.ts';

export type TlsKeysComponents = {
  readonly app: Bytes32;
  readonly now: () => number;
  readonly keys: GuestKeys;
  readonly quote: (x: Uint8Array, signal: AbortSignal) => Promise<{ readonly attestation: Uint8Array }>;
  readonly statement: () => GuestStatement;
};

/** PKCS #8 and certificates, in PEM: the leaf first, the app's own root last. */
export type TlsKey = { readonly key: string; readonly certificateChain: readonly string[] };

/**
 * Extensions of ours, under an arc by a random UUID (ITU-T X.667), values in DER as an OCTET STRING has them: 1 is the statement of which
 * instance it is, 2 the attestation over the certificate's key, both in JSON.
 */
export const certificateExtensions = {
  statement: '2.25.10082989026270953084446186579320893528.1',
  attestation: '2.25.10082989026270953084446186579320893528.2',
} as const;

/** Keys for TLS and their certificates. */
export class TlsKeys {
  readonly #components: TlsKeysComponents;
  #ca: Promise<AppCa> | undefined;

  constructor(components: TlsKeysComponents) {
    this.#components = components;
  }

  /** A key made for this request alone. */
  fresh(request: TlsRequest, signal: AbortSignal): Promise<TlsKey> {
    return this.#certified(generateP256(), request, signal);
  }

  /** The key of a path, the same on every host of the app. */
  async derived(
    request: Pick<TlsRequest, 'subject' | 'altNames'> & { readonly path: string },
    signal: AbortSignal,
  ): Promise<TlsKey> {
    const { keys } = this.#components;
    const secret = await keys.derive({ use: 'tls-given', algorithm: 'p256', purpose: '', path: request.path });
    const key = p256Of(secret);
    secret.wipe();
    const { subject, altNames } = request;
    const wanted = { subject, altNames, serverAuth: true, clientAuth: true, withQuote: false, withStatement: true };
    return this.#certified(key, wanted, signal);
  }

  /** The app's own root, in PEM. */
  async appCertificate(): Promise<string> {
    return certificatePem((await this.#caOf()).certificate);
  }

  async #certified(key: P256Key, request: TlsRequest, signal: AbortSignal): Promise<TlsKey> {
    const { now, quote, statement } = this.#components;
    const ca = await this.#caOf();
    const commonName = checkedSubject(request.subject, 'app');
    if (commonName === ca.commonName)
      throw new GuestError('GUEST_CERTIFICATE_REFUSED', `"${commonName}" is the name of the app's root`);
    const altNames = checkedAltNames(request.altNames);
    const times = checkedTimes(request, now());
    const extensions = new Map<string, Uint8Array>();
    if (request.withStatement) extensions.set(certificateExtensions.statement, utf8(JSON.stringify(statement())));
    if (request.withQuote)
      extensions.set(
        certificateExtensions.attestation,
        (await quote(certificateReportData(key.spki), signal)).attestation,
      );
    const { serverAuth, clientAuth } = request;
    const leaf = issueLeaf(ca, { spki: key.spki, commonName, altNames, serverAuth, clientAuth, ...times, extensions });
    return { key: privateKeyPem(key), certificateChain: [certificatePem(leaf), certificatePem(ca.certificate)] };
  }

  #caOf(): Promise<AppCa> {
    this.#ca ??= this.#makeCa();
    return this.#ca;
  }

  async #makeCa(): Promise<AppCa> {
    const { keys } = this.#components;
    const secret = await keys.derive({ use: 'tls-ca', algorithm: 'p256', purpose: '', path: '' });
    const key = p256Of(secret);
    secret.wipe();
    return issueAppCa(key, this.#components.app.slice(2));
  }
}

/** What an app's quote over a certificate is asked for: SHA-512("ratls-cert:" ‖ SubjectPublicKeyInfo), as dstack has it. */
export function certificateReportData(spki: Uint8Array): Uint8Array {
  return sha512(concatBytes(utf8('ratls-cert:'), spki));
}
