/** A hash of bytes that come one part after the other. */
export type HashStream = {
  update(bytes: Uint8Array): void;
  /** The hash of everything given so far. Ends the stream: later calls throw. */
  digest(): Uint8Array;
};
