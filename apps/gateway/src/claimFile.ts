import { isHexOf } from '@cloister/core';
import type { BlobBook, HeldClaim } from './blobBook.ts';

/** An app's word for a blob, whose signature holds. */
export type CheckedClaim = Pick<HeldClaim, 'app' | 'epoch' | 'keep'>;

/** Apps that can claim one blob. One that pays takes the place of one that does not. */
export const maxClaimsPerBlob = 64;

/** The claims of one blob as they are kept beside it. */
export function claimFileText(claims: readonly HeldClaim[]): string {
  return `${JSON.stringify({ format: 'cloister-blob-claims-1', claims })}\n`;
}

/** Undefined for anything else. */
export function parseClaimFile(text: string): readonly HeldClaim[] | undefined {
  try {
    const json = JSON.parse(text) as { readonly format?: unknown; readonly claims?: unknown } | null;
    if (json?.format !== 'cloister-blob-claims-1' || !Array.isArray(json.claims)) return undefined;
    const claims = json.claims as readonly (Partial<HeldClaim> | null)[];
    const isWhole = claims.every(
      (claim) =>
        isHexOf(claim?.app, 32) &&
        Number.isSafeInteger(claim?.epoch) &&
        Number.isSafeInteger(claim?.sequence) &&
        typeof claim?.keep === 'boolean',
    );
    return isWhole && claims.length <= maxClaimsPerBlob ? (claims as readonly HeldClaim[]) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A blob's claims with one more; the same list where it says nothing new, or where there is no place for it. An older word than the
 * last is nothing new, and of one epoch's the one that takes back is the last.
 */
export function mergedClaims(
  book: BlobBook,
  id: string,
  bytes: number,
  claim: CheckedClaim | undefined,
): readonly HeldClaim[] {
  const claims = book.of(id)?.claims ?? [];
  if (claim === undefined) return claims;
  // What an app neither pays nor may have for nothing is not written down: else its list would have no bound.
  if (claim.keep && !book.isOrCanBe(claim.app, id, bytes)) return claims;
  const last = claims.find(({ app }) => app === claim.app);
  if (last === undefined && !claim.keep) return claims;
  if (last !== undefined && (claim.epoch < last.epoch || (claim.epoch === last.epoch && !last.keep))) return claims;
  if (last !== undefined && claim.keep === last.keep && claim.epoch === last.epoch) return claims;
  const sequence = last?.keep === true && claim.keep ? last.sequence : book.nextSequence();
  const others = claims.filter(({ app }) => app !== claim.app);
  if (others.length >= maxClaimsPerBlob) {
    const unpaid = others.findIndex(({ app }) => !book.isPaidBy(app, id));
    if (unpaid < 0) return claims;
    others.splice(unpaid, 1);
  }
  return [...others, { ...claim, sequence }].sort((left, right) => left.sequence - right.sequence);
}
