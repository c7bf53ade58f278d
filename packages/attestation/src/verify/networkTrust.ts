import type { Bytes32, NetworkFile } from '@cloister/core';
import type { AppraisalPolicy } from './appraisal/policy.ts';
import type { Claims } from './claims.ts';
import type { TrustRoot, Vendor } from './roots.ts';

/** Whose roots vouch for which evidence. */
const vendors = { tdx: 'intel', sgx: 'intel', 'sev-snp': 'amd', nitro: 'aws' } as const satisfies Record<
  Claims['teeType'],
  Vendor
>;

/** The roots that a network file names, each for its own vendor's evidence. */
export function networkTrustRoots(roots: NetworkFile['trustRoots']): readonly TrustRoot[] {
  return roots.map(({ tee, spkiSha256, simulated, name }) => ({ spkiSha256, simulated, name, vendor: vendors[tee] }));
}

/**
 * The TCB floors that members of a committee and clients hold SEV-SNP against, of one edition: a change is a new number, so that
 * a registry can ask for it. AMD signs what firmware runs, not whether that is good.
 *
 * Edition 1. Genoa (with Bergamo and Siena) and Turin: the SNP versions of the firmware that mends AMD-SB-3023, as Linux compares
 * them (drivers/crypto/ccp/sev-dev.c, `sev_firmware_allows_es`). Milan has no floor, so none is accepted: the seed from which all
 * keys of a chip derive can be read by software (arXiv 2605.12990), so whoever has a chip signs any version.
 */
export const snpTcbFloors = {
  edition: 1,
  floors: { Genoa: { snp: 0x1b }, Turin: { snp: 4 } },
} as const satisfies { readonly edition: number; readonly floors: AppraisalPolicy['snpMinimumTcb'] };

/** What every network asks of evidence besides its registry's rules. A simulated one takes any version of simulated firmware. */
export function networkPolicy({ simulated }: Pick<NetworkFile, 'simulated'>): AppraisalPolicy {
  return simulated
    ? { unsafeAllowSimulated: true, snpMinimumTcb: { Milan: {}, Genoa: {}, Turin: {} } }
    : { snpMinimumTcb: snpTcbFloors.floors };
}

/**
 * The network file's id as evidence states it; null where it states none. For a Nitro enclave nobody configures anything: it says
 * the id itself, as the nonce of its document, and its measured code holds the file that it reads against that.
 */
export function statedConfigIdOf(claims: Claims): Bytes32 | null {
  if (claims.teeType !== 'nitro') return claims.configId;
  return claims.nonce?.length === 66 ? claims.nonce : null;
}
