import type { schema } from '@cloister/core';

/** What a handler can be given besides its request; each is there only for workloads that name it. */
export type ServiceName = 'state' | 'call' | 'chain' | 'account' | 'guest';

/**
 * What stands behind `ctx.state`, `ctx.call`, `ctx.chain` and `ctx.guest` during one invocation: made by the driver's caller, outside the tenant's
 * process. Whatever these throw as a CloisterError reaches the handler with its code, message and whether trying again may help.
 */
export type TenantServices = {
  readonly state?: StateService;
  readonly call?: CallService;
  readonly chain?: ChainService;
  /** In `ctx.chain` too. */
  readonly account?: AccountService;
  readonly guest?: GuestService;
};

/** `signal` fires when the invocation is over. */
export type ServiceContext = { readonly signal: AbortSignal };

/** Keys and values that outlive the process, in numbered partitions. */
export interface StateService {
  get(wanted: StateKey, context: ServiceContext): Promise<StateRead>;
  /** Keys that begin with `prefix` and come after `after`, in order, at most `limit`. */
  list(wanted: StateRange, context: ServiceContext): Promise<StateListed>;
  /** All changes or none, and only if everything that was read is still as it was. */
  commit(commit: StateCommit, context: ServiceContext): Promise<void>;
}

export type StateKey = { readonly partition: number; readonly key: string };
export type StateRange = {
  readonly partition: number;
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
};

/** `tag` stands for exactly this value, or for there being none. */
export type StateRead = { readonly value: Uint8Array | undefined; readonly tag: string };
export type StateListed = { readonly keys: readonly string[]; readonly tag: string };

export type StateCommit = {
  readonly partition: number;
  readonly read: readonly { readonly key: string; readonly tag: string }[];
  readonly listed: readonly (Omit<StateRange, 'partition'> & { readonly tag: string })[];
  /** Each key once; without a value it is deleted. */
  readonly changes: readonly { readonly key: string; readonly value: Uint8Array | undefined }[];
};

/** Other apps. */
export interface CallService {
  call(request: ServiceCall, context: ServiceContext): Promise<ServiceCallAnswer>;
}

export type ServiceCall = {
  /** The app's id: 0x and 64 digits. */
  readonly app: string;
  readonly method: string;
  /** Begins with "/"; may have a query. */
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
};

export type ServiceCallAnswer = {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
};

/** Reads of the network's chain, each as of a block that is named. Numbers are decimal strings. */
export interface ChainService {
  block(context: ServiceContext): Promise<ChainBlock>;
  call(call: { readonly to: string; readonly data: string }, context: ServiceContext): Promise<ChainAnswer>;
  balance(account: string, context: ServiceContext): Promise<ChainAnswer>;
}

export type ChainBlock = {
  readonly number: string;
  readonly hash: string;
  /** Unix seconds. */
  readonly timestamp: string;
  /** How old it is, in ms by a clock that its host may turn. */
  readonly ageMs: number;
};

/** `value`: what a call returned as hex, or an amount in wei as a decimal string. */
export type ChainAnswer = { readonly value: string; readonly block: ChainBlock };

/** The app's account on the network's chain: what it signs is judged by its manifest. */
export interface AccountService {
  address(context: ServiceContext): Promise<string>;
  /** Signs a transaction and sends it; with the id of one before, sends that one again. */
  send(wished: WishedTransaction, context: ServiceContext): Promise<SentTransaction>;
  /** Undefined where no block has it yet. */
  receipt(hash: string, context: ServiceContext): Promise<TransactionOutcome | undefined>;
  /** EIP-191, version 0x45: 65 bytes. */
  signMessage(message: Uint8Array, context: ServiceContext): Promise<string>;
}

export type WishedTransaction = {
  readonly to: string;
  readonly data: string;
  /** In wei, as a decimal string. */
  readonly value: string;
  /** Chosen by the app: one transaction for each. */
  readonly id: string;
};

export type SentTransaction = { readonly hash: string; readonly nonce: number };

export type TransactionOutcome = { readonly status: 'success' | 'reverted'; readonly block: ChainBlock };

/** The worker's guest agent, in the words of dstack's: methods, and requests and answers as its protocol has them. */
export interface GuestService {
  ask(asked: GuestRequest, context: ServiceContext): Promise<GuestAnswer>;
}

export type GuestRequest = { readonly method: string; readonly request: GuestAnswer };
export type GuestAnswer = { readonly [field: string]: schema.Json };
