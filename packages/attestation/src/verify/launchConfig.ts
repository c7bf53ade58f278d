import { readMrConfigId, type TdxConfig } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import { readEnclaveReport } from './dcap/enclaveReport.ts';
import { parseQuote } from './dcap/quote.ts';
import { readTdReport } from './dcap/tdReport.ts';
import { configIdOf } from './dcap/verifySgxQuote.ts';
import { type EvidenceDocument, nitroDocumentOf, quoteOf, snpPartsOf } from './evidenceDocument.ts';
import { parseAttestationDocument } from './nitro/attestationDocument.ts';
import { parseSnpReport } from './snp/report.ts';

/** What a document says the host configured at launch. */
export type LaunchConfig = {
  /** As `statedConfigIdOf` finds it in the claims that verifying it leads to. */
  readonly configId: TdxConfig['configId'] | null;
  /** What runs in a dstack CVM; null everywhere else. */
  readonly composeHash: TdxConfig['composeHash'];
  /** The field as it stands in the evidence, for people: MRCONFIGID, CONFIGID, HOST_DATA, a Nitro document's nonce; null where there is no such field. */
  readonly stated: string | null;
};

/**
 * Reads, and verifies nothing: for an enclave that looks at evidence which its own device has just made. Whoever relies on the
 * evidence of others takes verified claims. Throws what parsing the evidence throws.
 */
export function launchConfigOf(document: EvidenceDocument): LaunchConfig {
  if (document.teeType === 'nitro') {
    const { nonce } = parseAttestationDocument(nitroDocumentOf(document)).payload;
    const stated = nonce === null ? null : toHex(nonce);
    return { configId: nonce?.length === 32 ? stated : null, composeHash: null, stated };
  }
  if (document.teeType === 'sev-snp') {
    const hostData = toHex(parseSnpReport(snpPartsOf(document).report).hostData);
    return { configId: hostData, composeHash: null, stated: hostData };
  }
  const { body } = parseQuote(quoteOf(document));
  if (body.kind === 'sgx') {
    const { configId } = readEnclaveReport(body.bytes);
    return { configId: configIdOf(configId), composeHash: null, stated: toHex(configId) };
  }
  const { mrConfigId } = readTdReport(body);
  const config = readMrConfigId(mrConfigId) ?? { configId: null, composeHash: null };
  return { ...config, stated: toHex(mrConfigId) };
}
