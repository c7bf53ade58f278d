export { type CollateralSubmission, collateralSubmissions } from './collateralSubmissions.ts';
export { platformOfQuote, type QuotedPlatform } from './platformOfQuote.ts';
export { fullEvidence, knownKeyEvidence, rememberingEvidence } from './quoteEvidence.ts';
