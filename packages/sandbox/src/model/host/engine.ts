/** What an engine is given to open its model. */
export type EngineConfig = {
  readonly weights: string;
  readonly name: string;
  readonly contextTokens: number;
  readonly maxTokens: number;
  /** Calls that may be under way at once. */
  readonly maxConcurrent: number;
  readonly threads: number;
  /** Layers go to the machine's GPUs, as many as fit: where the engine can use them, or else it opens nothing. Default: none go. */
  readonly gpu?: 'off' | 'auto' | 'required' | undefined;
};

export type EngineRequest = {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly env: Readonly<Record<string, string>>;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
};

export type EngineAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array | string> | Uint8Array | string;
  /** Asked for when the body has ended: what goes into the receipt. At most 4,000 characters of JSON, ASCII. */
  readonly report?: () => object | undefined;
};

/** Answers calls with an open model. What it throws is a failure of the app. */
export type Engine = (request: EngineRequest) => Promise<EngineAnswer>;

export type OpenEngine = (config: EngineConfig) => Promise<Engine>;
