export { type GuestEvent, guestLogBounds } from './eventLog.ts';
export {
  type GivenKey,
  GuestAgent,
  type GuestAgentComponents,
  type GuestAgentInit,
  type GuestInfo,
  type MadeQuote,
  type MadeSignature,
} from './guestAgent.ts';
export { GuestError, type GuestErrorCode } from './guestError.ts';
export { type GuestAlgorithm, maxKeyNameBytes } from './guestKeys.ts';
export { GuestQuotes, maxQuotesOfAllApps, maxQuotesOfOneApp, type QuotingDevice } from './guestQuotes.ts';
export { askGuest } from './protocol/guestCalls.ts';
export { type GuestSocket, type ServeGuestOptions, serveGuest } from './serveGuest.ts';
export { certificateExtensions, certificateReportData } from './tls/tlsKeys.ts';
