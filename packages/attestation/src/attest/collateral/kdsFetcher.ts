import { X509Certificate } from 'node:crypto';
import { bounds } from '../../verify/bounds.ts';
import { AttestationError } from '../../verify/index.ts';
import { readPemChain } from '../../verify/x509/pem.ts';
import type { HostCertificates } from '../tsm/hostCertificates.ts';
import { type BoundedFetchInit, boundedFetch } from './boundedFetch.ts';
import { CollateralError } from './collateralError.ts';
import { type SnpProduct, type SnpQuery, vcekPath } from './snpQuery.ts';

/** What stands beside an SNP report, DER, unverified. */
export type SnpEndorsements = {
  readonly product: SnpProduct;
  /** VCEK or VLEK. */
  readonly leaf: Uint8Array;
  /** ASK, or ASVK above a VLEK. */
  readonly intermediate: Uint8Array;
  /** ARK. */
  readonly root: Uint8Array;
  /** Of the root: it lists intermediates and VLEKs that are revoked. */
  readonly crl: Uint8Array;
};

export type KdsFetcherInit = BoundedFetchInit & {
  /** Base URL. Default: AMD's own. */
  readonly url?: string | undefined;
};

/** Where SNP endorsements come from; nothing that it returns is trusted. */
export type EndorsementFetcher = {
  /** For messages. */
  readonly name: string;
  /** @param host certificates that the host handed over; a leaf among them is not asked for. Throws CollateralError. */
  readonly fetch: (
    query: SnpQuery,
    options: { readonly signal: AbortSignal; readonly host?: HostCertificates | undefined },
  ) => Promise<SnpEndorsements>;
};

export const amdKdsUrl = 'https://kdsintf.amd.com';
const maxCertificateBytes = 16 * 1024;
/** The service answers one request in 10 s for each client, and says so with 429. */
const patience = { attempts: 4, pauseMs: 2_000, maxPauseMs: 60_000 } as const;

/** Endorsements from AMD's key service (AMD, "VCEK Certificate and KDS Interface Specification", §4), or a cache of it. */
export function kdsFetcher(init: KdsFetcherInit = {}): EndorsementFetcher {
  const base = (init.url ?? amdKdsUrl).replace(/\/+$/, '');
  const fetchInit: BoundedFetchInit = { ...patience, ...init };
  const get = async (path: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> =>
    (await boundedFetch(`${base}/${path}`, maxBytes, signal, fetchInit)).bytes;

  /** The chip's own certificate by asking, product after product where the report does not say which. */
  async function vcekOf(query: SnpQuery, signal: AbortSignal): Promise<{ product: SnpProduct; leaf: Uint8Array }> {
    for (const [index, product] of query.products.entries()) {
      try {
        const path = `vcek/v1/${product}/${vcekPath(product, query)}`;
        return { product, leaf: assertDer(await get(path, maxCertificateBytes, signal), `${base}/${path}`) };
      } catch (error) {
        const unknown = error instanceof CollateralError && error.code === 'COLLATERAL_UNKNOWN_PLATFORM';
        if (!unknown || index === query.products.length - 1) throw error;
      }
    }
    throw new RangeError('A query names at least one product');
  }

  return {
    name: base,
    async fetch(query, { signal, host = {} }) {
      const { signer } = query;
      const given = givenLeaf(host[signer], query);
      if (signer === 'vlek' && given === undefined) throw noLoadedKey(base);
      const { product, leaf } = given ?? (await vcekOf(query, signal));
      const chainPath = `${signer}/v1/${product}/cert_chain`;
      const chain = readChain(await get(chainPath, bounds.certificateChain, signal), `${base}/${chainPath}`);
      const crlPath = `${signer}/v1/${product}/crl`;
      const crl = assertDer(await get(crlPath, bounds.crl, signal), `${base}/${crlPath}`);
      return { product, leaf, ...chain, crl };
    },
  };
}

/** The host's certificate, DER or PEM, where its issuer is one of a product that the report may come from. */
function givenLeaf(
  certificate: Uint8Array | undefined,
  { products, signer }: SnpQuery,
): { readonly product: SnpProduct; readonly leaf: Uint8Array } | undefined {
  if (certificate === undefined || certificate.length > maxCertificateBytes) return undefined;
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
  } catch {
    // What a host hands over may be anything; the key service is asked then.
    return undefined;
  }
  const issuers = parsed.issuer.split('\n');
  const product = products.find((name) => issuers.includes(`CN=SEV-${signer === 'vlek' ? 'VLEK-' : ''}${name}`));
  return product === undefined ? undefined : { product, leaf: Uint8Array.from(parsed.raw) };
}

function readChain(pem: Uint8Array, url: string): Pick<SnpEndorsements, 'intermediate' | 'root'> {
  try {
    const [intermediate, root] = readPemChain(pem, 2, url);
    if (intermediate !== undefined && root !== undefined) return { intermediate, root };
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
  }
  throw malformed(url, 'two certificates in PEM');
}

function assertDer(bytes: Uint8Array, url: string): Uint8Array {
  if (bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80) return bytes;
  throw malformed(url, 'DER');
}

function malformed(url: string, expected: string): CollateralError {
  return new CollateralError({
    code: 'COLLATERAL_REPLY_MALFORMED',
    message: `Expected ${expected} from "${url}"`,
    meta: { url },
  });
}

function noLoadedKey(base: string): CollateralError {
  return new CollateralError({
    code: 'COLLATERAL_UNAVAILABLE',
    message: `Expected the certificate of a loaded key from the host: "${base}" gives only those of chips`,
    hint: 'Have the host hand its VLEK certificate to its guests',
  });
}
