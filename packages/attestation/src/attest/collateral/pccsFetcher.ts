import { fromHex, fromUtf8, toHex } from '@cloister/crypto';
import { bounds } from '../../verify/bounds.ts';
import type { Collateral } from '../../verify/index.ts';
import { type BoundedFetchInit, boundedFetch, type Fetched } from './boundedFetch.ts';
import { CollateralError } from './collateralError.ts';
import type { CollateralFetcher, CollateralQuery } from './collateralQuery.ts';

export type PccsFetcherInit = BoundedFetchInit & {
  /** Base URL, without a path below it: `https://api.trustedservices.intel.com`, or a cache of an operator. */
  readonly url: string;
  /** Where the root's CRL is. Default: `rootcacrl` of the service; for Intel's own, which has none, the CRL's own address. */
  readonly rootCrlUrl?: string | undefined;
};

/** Intel's own service, for operators without a cache of theirs. */
export const intelPcsUrl = 'https://api.trustedservices.intel.com';
const intelRootCrlUrl = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der';

/** Header names of API v4; TCB info's had a prefix before. */
const chainHeaders = {
  pckCrl: ['sgx-pck-crl-issuer-chain'],
  tcbInfo: ['tcb-info-issuer-chain', 'sgx-tcb-info-issuer-chain'],
  qeIdentity: ['sgx-enclave-identity-issuer-chain'],
} as const;

/**
 * Collateral from a service with the API of Intel's PCS, version 4 (Intel, "SGX and TDX Provisioning Certification Service";
 * the same paths in the PCCS that operators run). The documents' bytes are kept exactly as they were signed.
 */
export function pccsFetcher(init: PccsFetcherInit): CollateralFetcher {
  const base = init.url.replace(/\/+$/, '');
  const rootCrlUrl =
    init.rootCrlUrl ?? (base === intelPcsUrl ? intelRootCrlUrl : `${base}/sgx/certification/v4/rootcacrl`);
  return {
    name: base,
    async fetch(query, { signal }) {
      const urls = urlsOf(base, query);
      // The first that fails ends the others.
      const ending = new AbortController();
      const both = AbortSignal.any([signal, ending.signal]);
      const get = (url: string, maxBytes: number) => boundedFetch(url, maxBytes, both, init);
      const [pckCrl, rootCrl, tcbInfo, qeIdentity] = await Promise.all([
        get(urls.pckCrl, 2 * bounds.crl),
        get(rootCrlUrl, 2 * bounds.crl),
        get(urls.tcbInfo, bounds.signedJson),
        get(urls.qeIdentity, bounds.signedJson),
      ]).finally(() => ending.abort());
      const tcb = signedDocument(tcbInfo.bytes, 'tcbInfo', urls.tcbInfo);
      const qe = signedDocument(qeIdentity.bytes, 'enclaveIdentity', urls.qeIdentity);
      const collateral: Collateral = {
        pck_crl_issuer_chain: issuerChain(pckCrl, chainHeaders.pckCrl, urls.pckCrl),
        root_ca_crl: crlHex(rootCrl.bytes, rootCrlUrl),
        pck_crl: crlHex(pckCrl.bytes, urls.pckCrl),
        tcb_info_issuer_chain: issuerChain(tcbInfo, chainHeaders.tcbInfo, urls.tcbInfo),
        tcb_info: tcb.text,
        tcb_info_signature: tcb.signature,
        qe_identity_issuer_chain: issuerChain(qeIdentity, chainHeaders.qeIdentity, urls.qeIdentity),
        qe_identity: qe.text,
        qe_identity_signature: qe.signature,
      };
      return collateral;
    },
  };
}

function urlsOf(base: string, { teeType, fmspc, ca }: CollateralQuery) {
  return {
    pckCrl: `${base}/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`,
    tcbInfo: `${base}/${teeType}/certification/v4/tcb?fmspc=${fmspc}`,
    qeIdentity: `${base}/${teeType}/certification/v4/qe/identity`,
  };
}

/**
 * `{"NAME":{…},"signature":"…"}`, cut by its text: the signature is over the inner object's bytes, which no parser gives back.
 */
function signedDocument(bytes: Uint8Array, name: string, url: string): { text: string; signature: string } {
  const body = textOf(bytes, url).trim();
  const start = `{"${name}":`;
  const [, signature] = /,"signature":"([0-9a-fA-F]{128})"\}$/.exec(body) ?? [];
  const text = body.slice(start.length, -`,"signature":"${signature}"}`.length);
  if (!body.startsWith(start) || signature === undefined || !text.startsWith('{') || !text.endsWith('}'))
    throw malformed(url, `{"${name}":{…},"signature":"…"}`);
  return { text, signature };
}

/** A chain of certificates in a header: PEM, percent-encoded. */
function issuerChain({ headers }: Fetched, names: readonly string[], url: string): string {
  const [encoded] = names.flatMap((name) => headers.get(name) ?? []);
  const expected = `a header "${names[0]}" with the issuers' certificates`;
  if (encoded === undefined || encoded.length > 3 * bounds.certificateChain) throw malformed(url, expected);
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw malformed(url, expected);
  }
}

/** A CRL as DER, or as DER in hexadecimal, which caches give for the root's. */
function crlHex(bytes: Uint8Array, url: string): string {
  if (bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80) return toHex(bytes).slice(2);
  const digits = textOf(bytes, url)
    .trim()
    .replace(/^"(.*)"$/, '$1');
  if (digits.length % 2 !== 0 || !/^30[0-9a-fA-F]+$/.test(digits)) throw malformed(url, 'a CRL in DER or hexadecimal');
  return toHex(fromHex(digits)).slice(2);
}

function textOf(bytes: Uint8Array, url: string): string {
  try {
    return fromUtf8(bytes);
  } catch {
    throw malformed(url, 'text in UTF-8');
  }
}

function malformed(url: string, expected: string): CollateralError {
  return new CollateralError({
    code: 'COLLATERAL_REPLY_MALFORMED',
    message: `Expected ${expected} from "${url}"`,
    meta: { url },
    hint: 'See whether this is a PCCS with version 4 of the API',
  });
}
