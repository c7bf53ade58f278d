/**
 * What a function's handler gets as its third argument, `fetch(request, env, ctx)`: types alone, for functions in TypeScript. `Service`: what
 * the app's manifest names.
 */
export type FunctionContext<Service extends FunctionService = never> = {
  /** Goes on with this after the answer; services can't be used any more then. */
  waitUntil(promise: Promise<unknown>): void;
} & ('state' extends Service ? { readonly state: FunctionState } : unknown) &
  ('call' extends Service ? { readonly call: CallApp } : unknown) &
  ('chain' extends Service ? { readonly chain: FunctionChain } : unknown) &
  ('account' extends Service ? { readonly chain: FunctionAccount } : unknown) &
  ('guest' extends Service ? { readonly guest: FunctionGuest } : unknown);

/** 'account': what the manifest's `chain` gives, in `ctx.chain` too. */
export type FunctionService = 'state' | 'call' | 'chain' | 'account' | 'guest';

/** What `scheduled(event, env, ctx)` gets as its first argument. */
export type ScheduledEvent = {
  readonly type: 'scheduled';
  /** When it was due, unix milliseconds. */
  readonly scheduledTime: number;
  /** Its schedule, as the manifest has it. */
  readonly cron: string;
  /** Stands for this schedule and this time: the same where it is run again because a host was lost in the middle. */
  readonly id: string;
  /** From 1 on. */
  readonly attempt: number;
};

/** A value is stored as its bytes, a string as UTF-8. */
export type StateValue = string | ArrayBuffer | ArrayBufferView;
/** As what a value is read: default "bytes". */
export type StateValueType = 'bytes' | 'text' | 'json';

export type StateListOptions = {
  /** The key after which the list begins. */
  readonly after?: string;
  /** @default 1_000, and no more */
  readonly limit?: number;
};

export interface StateReader {
  /** Undefined where there is none. */
  get(key: string, type?: 'bytes'): Promise<Uint8Array | undefined>;
  get(key: string, type: 'text'): Promise<string | undefined>;
  // biome-ignore lint/suspicious/noExplicitAny: as JSON.parse: what was stored is the app's own
  get(key: string, type: 'json'): Promise<any>;
  /** Keys that begin with `prefix`, in ascending order of their UTF-16 units. */
  list(prefix?: string, options?: StateListOptions): Promise<string[]>;
}

/** What a transaction reads stays as it is until it is over, and what it changes happens at once or not at all. */
export interface FunctionTransaction extends StateReader {
  put(key: string, value: StateValue): void;
  delete(key: string): void;
}

/** One partition of the app's state. All errors have a `code` and say by `retry` whether trying again may help: docs/functions.md. */
export interface FunctionState extends StateReader {
  put(key: string, value: StateValue): Promise<void>;
  delete(key: string): Promise<void>;
  /** Runs `work` and commits what it changed; again from the beginning, up to ten times, where what it read has changed meanwhile. */
  transaction<T>(work: (inside: FunctionTransaction) => T | Promise<T>): Promise<T>;
  /** Another partition, from 0 on; this is number 0 unless another was asked for. */
  partition(number: number): FunctionState;
}

/** Calls another app, which learns in the header `cloister-caller-app` which one calls. Takes what `fetch` does; the URL's host is ignored. */
export type CallApp = (app: string, input?: string | Request, init?: RequestInit) => Promise<Response>;

/** A block of the network's chain; numbers as decimal strings. */
export type FunctionBlock = {
  readonly number: string;
  readonly hash: string;
  /** Unix seconds. */
  readonly timestamp: string;
  /** How old it is, in ms, by a clock that its host may turn. */
  readonly ageMs: number;
};

/** Reads of the network's chain, all of one call at one block, on which all RPCs of the network file agree. */
export interface FunctionChain {
  block(): Promise<FunctionBlock>;
  /** What a contract's read returns, as hex. */
  call(call: { readonly to: string; readonly data?: string }): Promise<{ value: string; block: FunctionBlock }>;
  /** In wei, as a decimal string. */
  balance(account: string): Promise<{ value: string; block: FunctionBlock }>;
}

/** The app's own account on the network's chain, which signs what the manifest's `chain` allows and nothing else. */
export interface FunctionAccount {
  /** Its address. It pays for the gas of what it sends: fund it. */
  account(): Promise<string>;
  /**
   * Signs a transaction and sends it; resolves once an RPC has taken it, which is before a block has it. With the id of one that was sent
   * before, it sends that one again and no other: give an id wherever the same may be asked twice.
   * `value`: in wei.
   */
  send(wished: {
    readonly to: string;
    readonly data?: string;
    readonly value?: bigint | string;
    /** At most 128 characters. @default a random one */
    readonly id?: string;
  }): Promise<{ hash: string; nonce: number }>;
  /** What has become of one; undefined while no block has it. */
  receipt(hash: string): Promise<{ status: 'success' | 'reverted'; block: FunctionBlock } | undefined>;
  /** A signature by EIP-191 (65 bytes, hex) over text or bytes, where the manifest allows messages. */
  signMessage(message: StateValue): Promise<string>;
}

/** The options of {@link FunctionGuest.getTlsKey}. Times in unix seconds. */
export type GuestTlsKeyOptions = {
  readonly subject?: string;
  /** DNS names and IP addresses, at most 16. */
  readonly altNames?: readonly string[];
  /** With a quote over the key. @default false */
  readonly usageRaTls?: boolean;
  /** @default true */
  readonly usageServerAuth?: boolean;
  /** @default false */
  readonly usageClientAuth?: boolean;
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** With the statement of which instance it is. */
  readonly withAppInfo?: boolean;
};

/** Bytes, or a string as its UTF-8. */
export type GuestBytes = StateValue;

/** What `getQuote` answers; byte strings in hexadecimal without 0x. */
export type GuestQuote = {
  /** Empty where the machine is no TD. */
  readonly quote: string;
  /** JSON: the events of this instance. */
  readonly event_log: string;
  readonly report_data: string;
  /** JSON: the worker's statement of which instance it is. */
  readonly vm_config: string;
  /** As `attest` gives it, where the machine is no TD. */
  readonly attestation?: string;
};

/**
 * The worker's guest agent, as the client of dstack's SDK for JavaScript has it: docs/guest.md says what is the same, and what is not. Keys are
 * the app's own at its key version, the same on all its hosts.
 */
export interface FunctionGuest {
  /** @param algorithm "secp256k1" (default) or "ed25519"; each path, purpose and algorithm has its own key */
  getKey(
    path?: string,
    purpose?: string,
    algorithm?: string,
  ): Promise<{ key: Uint8Array; signature_chain: Uint8Array[] }>;
  /** A fresh P-256 key in PEM, and certificates up to the app's own root. */
  getTlsKey(options?: GuestTlsKeyOptions): Promise<{ key: string; certificate_chain: string[] }>;
  /** @param reportData at most 64 bytes */
  getQuote(reportData: GuestBytes): Promise<GuestQuote>;
  attest(reportData: GuestBytes): Promise<{ attestation: string }>;
  // biome-ignore lint/suspicious/noExplicitAny: as JSON.parse: docs/guest.md has its fields
  info(): Promise<any>;
  version(): Promise<{ version: string; rev: string }>;
  emitEvent(event: string, payload: GuestBytes): Promise<void>;
  /** @param algorithm "secp256k1", "secp256k1_prehashed" or "ed25519" */
  sign(
    algorithm: string,
    data: GuestBytes,
  ): Promise<{ signature: Uint8Array; signature_chain: Uint8Array[]; public_key: Uint8Array }>;
  verify(
    algorithm: string,
    data: GuestBytes,
    signature: GuestBytes,
    publicKey: GuestBytes,
  ): Promise<{ valid: boolean }>;
}
