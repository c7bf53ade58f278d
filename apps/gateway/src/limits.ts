import { config } from '@cloister/service';

const mebibyte = 1_048_576;

/** Bounds of a gateway; every one can be set in its configuration under `limits`. */
export const gatewayLimits = config.object({
  /** The largest sealed request: 8 MiB of content and room for sealing and padding. Bytes. */
  callBytes: config.integer({ min: 1_024, max: 64 * mebibyte, default: 9 * mebibyte }),
  /** The largest streamed request, of which only a window is held at a time: 1 GiB of content and its sealing. Bytes */
  streamedCallBytes: config.integer({ min: 1_024, max: 16_384 * mebibyte, default: 1_056 * mebibyte }),
  /** A call that is not answered in full by then ends. ms */
  callDeadlineMs: config.integer({ min: 100, max: 3_600_000, default: 600_000 }),
  /** A call without progress in either direction for so long ends. ms */
  callIdleMs: config.integer({ min: 100, max: 3_600_000, default: 120_000 }),
  callsAtOncePerWorker: config.integer({ min: 1, max: 4_096, default: 256 }),
  callsAtOncePerClient: config.integer({ min: 1, max: 100_000, default: 64 }),
  callsPerSecondPerClient: config.integer({ min: 1, max: 1_000_000, default: 100 }),
  callBurstPerClient: config.integer({ min: 1, max: 1_000_000, default: 300 }),
  /** Everything that is not a call: directory, blobs, health, dialling in. */
  readsPerSecondPerClient: config.integer({ min: 1, max: 1_000_000, default: 50 }),
  readBurstPerClient: config.integer({ min: 1, max: 1_000_000, default: 200 }),
  blobBytes: config.integer({ min: 1, max: 1_024 * mebibyte, default: 16 * mebibyte }),
  /** What one client may store in a day. Bytes */
  blobBytesPerClientPerDay: config.integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 512 * mebibyte }),
  /** What one client may fetch in a second, over any 60. Bytes */
  blobReadBytesPerSecondPerClient: config.integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 32 * mebibyte }),
  /** All blobs together. Bytes */
  blobStoreBytes: config.integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 8_192 * mebibyte }),
  /** Of these, what no app pays for: where it is full, what was not used for longest is dropped. Bytes; 0: nothing is kept for free. */
  freeBlobBytes: config.integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 2_048 * mebibyte }),
  /** Of these, what an app on the chain may name its own: dropped after all that nobody names. Bytes */
  freeBlobBytesPerApp: config.integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 64 * mebibyte }),
  /** How often the chain is asked what is paid. ms */
  storagePollMs: config.integer({ min: 100, max: 3_600_000, default: 15_000 }),
  /** HTTP and WebSocket connections together. */
  connections: config.integer({ min: 8, max: 1_000_000, default: 4_096 }),
  workers: config.integer({ min: 1, max: 100_000, default: 1_024 }),
  /** A worker that has dialled must prove itself by then. ms */
  helloMs: config.integer({ min: 100, max: 60_000, default: 10_000 }),
  heartbeatMs: config.integer({ min: 100, max: 600_000, default: 15_000 }),
  /** The headers of a request must be complete by then, ms; its body within `requestMs`. */
  headersMs: config.integer({ min: 100, max: 600_000, default: 10_000 }),
  requestMs: config.integer({ min: 100, max: 3_600_000, default: 120_000 }),
});

export type GatewayLimits = config.ConfigOf<typeof gatewayLimits>;

export const defaultGatewayLimits: GatewayLimits = gatewayLimits.read({}, 'limits');
