import { readPckExtension } from '../../verify/dcap/pckExtension.ts';
import { type Collateral, parseQuote } from '../../verify/index.ts';
import { parseCertificate } from '../../verify/x509/certificate.ts';
import { readPemChain } from '../../verify/x509/pem.ts';
import { CollateralError } from './collateralError.ts';

/** Which collateral a quote needs. */
export type CollateralQuery = {
  readonly teeType: 'tdx' | 'sgx';
  /** 6 bytes in hexadecimal, lower case, no prefix: the kind of platform. */
  readonly fmspc: string;
  /** Which of Intel's two CAs issued the platform's certificate, and so lists it when it is revoked. */
  readonly ca: 'processor' | 'platform';
};

/** Where collateral comes from; nothing that it returns is trusted. */
export type CollateralFetcher = {
  /** For messages: a URL, a file, a contract. */
  readonly name: string;
  /** Throws CollateralError. */
  readonly fetch: (query: CollateralQuery, options: { readonly signal: AbortSignal }) => Promise<Collateral>;
};

/** What a quote's own chain says of its platform, unverified. Throws COLLATERAL_QUOTE_UNREADABLE. */
export function collateralQueryOf(quoteBytes: Uint8Array): CollateralQuery {
  try {
    const quote = parseQuote(quoteBytes);
    const [leafDer, caDer] = readPemChain(quote.pckChain, 3, 'quote.pckChain');
    if (leafDer === undefined || caDer === undefined) throw new RangeError('the chain has fewer than two certificates');
    const { fmspc } = readPckExtension(parseCertificate(leafDer, 'quote.pckChain[0]'));
    const { commonName } = parseCertificate(caDer, 'quote.pckChain[1]');
    return { teeType: quote.body.kind, fmspc, ca: caOf(commonName) };
  } catch (cause) {
    throw new CollateralError({
      code: 'COLLATERAL_QUOTE_UNREADABLE',
      message: "Expected a quote with its platform's certificates",
      cause,
    });
  }
}

/** Intel, "PCK Certificate Profile", §3: the CAs of platforms with one processor package and with several. */
function caOf(commonName: string): CollateralQuery['ca'] {
  if (commonName.endsWith(' PCK Processor CA')) return 'processor';
  if (commonName.endsWith(' PCK Platform CA')) return 'platform';
  throw new RangeError(`the PCK CA is "${commonName}"`);
}
