/** Bytes of UTF-8 of a key, at least 1. */
export const maxKeyBytes = 512;
export const maxValueBytes = 256 * 1024;
/** Keys and values of one transaction together, in bytes, and how many there are. */
export const maxTransactionBytes = 1024 * 1024;
export const maxTransactionChanges = 1_024;
/** Keys and values of a partition together, in bytes, and how many there are: an instance holds them in memory. */
export const maxPartitionBytes = 8 * 1024 * 1024;
export const maxPartitionKeys = 65_536;
/** One entry of the log, in bytes: a snapshot at its largest, padded. */
export const maxEntryBytes = 10 * 1024 * 1024;
/** Entries that are read at most to open a partition; a snapshot comes before. */
export const maxEntriesToRead = 64;
/** Changes of that many bytes, or of as many as the whole has, bring a snapshot. */
export const minSnapshotBytes = 64 * 1024;
/** Keys that a list answers at most. */
export const maxListed = 1_000;
/** Transactions that wait for those before them. */
export const maxWaiting = 256;
/** How long the work inside a transaction may take, in ms: those behind it wait. */
export const transactionMs = 30_000;
