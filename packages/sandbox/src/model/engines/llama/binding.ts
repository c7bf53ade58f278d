// The part of node-llama-cpp that is used here. The package is installed where models run, not where this is compiled.

export type Token = number & { readonly token: unique symbol };

export type LlamaText = { tokenize(tokenizer: unknown, mode?: 'trimLeadingSpace'): Token[] };

export type Grammar = object;

export type Sequence = {
  readonly tokenMeter: { readonly usedInputTokens: number; readonly usedOutputTokens: number };
  clearHistory(): Promise<void>;
  dispose(): Promise<void>;
};

export type Context = {
  readonly contextSize: number;
  getSequence(): Sequence;
  dispose(): Promise<void>;
};

export type EmbeddingContext = {
  getEmbeddingFor(input: Token[]): Promise<{ readonly vector: readonly number[] }>;
};

export type Model = {
  readonly trainContextSize: number;
  /** How many of its layers are on GPUs. */
  readonly gpuLayers: number;
  readonly embeddingVectorSize: number;
  readonly tokenizer: unknown;
  readonly tokens: { readonly bos: Token | null; readonly shouldPrependBosToken: boolean };
  tokenize(text: string, specialTokens?: boolean): Token[];
  createContext(options: object): Promise<Context>;
  createEmbeddingContext(options: object): Promise<EmbeddingContext>;
};

export type Llama = {
  readonly llamaCppRelease: { readonly release: string };
  loadModel(options: object): Promise<Model>;
  getGrammarFor(type: 'json'): Promise<Grammar>;
  createGrammarForJsonSchema(schema: unknown): Promise<Grammar>;
};

/** A call that the model made, with what came of it. */
export type FunctionCall = {
  readonly type: 'functionCall';
  readonly name: string;
  readonly params: unknown;
  readonly result: unknown;
  /** Whether it stands apart from the call before it. */
  readonly startsNewChunk: boolean;
};

export type ChatItem =
  | { readonly type: 'system' | 'user'; readonly text: string }
  | { readonly type: 'model'; readonly response: readonly (string | FunctionCall)[] };

export type ChatFunctions = { readonly [name: string]: { readonly description?: string; readonly params: unknown } };

export type ContextState = {
  readonly contextText: LlamaText;
  readonly stopGenerationTriggers: readonly unknown[];
};

export type ChatWrapper = {
  generateContextState(options: {
    readonly chatHistory: readonly ChatItem[];
    readonly availableFunctions?: ChatFunctions;
    readonly documentFunctionParams?: boolean;
  }): ContextState;
};

/** What both ways of generating have in common. */
export type EvaluationOptions = {
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
  readonly repeatPenalty: false | object;
  readonly stopOnAbortSignal: boolean;
  readonly signal: AbortSignal;
  readonly onTextChunk: (text: string) => void;
};

export type CompletionOptions = EvaluationOptions & {
  readonly customStopTriggers: readonly unknown[];
  readonly disableContextShift: boolean;
  readonly grammar?: Grammar;
};

export type Completion = {
  generateCompletionWithMeta(
    input: readonly Token[],
    options: CompletionOptions,
  ): Promise<{ readonly response: string; readonly metadata: { readonly stopReason: string } }>;
  dispose(options: { readonly disposeSequence: boolean }): void;
};

export type ChatOptions = EvaluationOptions & {
  readonly functions: ChatFunctions;
  readonly documentFunctionParams: boolean;
  readonly maxParallelFunctionCalls: number;
  readonly onFunctionCallParamsChunk: (chunk: {
    readonly callIndex: number;
    readonly functionName: string;
    readonly paramsChunk: string;
  }) => void;
  readonly contextShift: {
    readonly strategy: (given: { readonly chatHistory: readonly ChatItem[] }) => {
      readonly chatHistory: readonly ChatItem[];
    };
  };
};

export type Chat = {
  generateResponse(
    history: readonly ChatItem[],
    options: ChatOptions,
  ): Promise<{ readonly metadata: { readonly stopReason: string } }>;
  dispose(options: { readonly disposeSequence: boolean }): void;
};

export type LlamaModule = {
  getLlama(options: object): Promise<Llama>;
  resolveChatWrapper(model: Model): ChatWrapper | null;
  readonly LlamaCompletion: new (options: { readonly contextSequence: Sequence }) => Completion;
  readonly LlamaChat: new (options: { readonly contextSequence: Sequence; readonly chatWrapper: ChatWrapper }) => Chat;
  readonly LlamaLogLevel: { readonly warn: string };
};
