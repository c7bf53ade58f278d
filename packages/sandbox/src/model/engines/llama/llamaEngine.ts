import type { EngineConfig } from '../../host/engine.ts';
import { ApiError } from '../openai/apiError.ts';
import type { ChatTurn } from '../openai/chatMessages.ts';
import type { Generation, OutputForm } from '../openai/sampling.ts';
import type { Tools } from '../openai/tools.ts';
import type {
  ChatWrapper,
  Context,
  EmbeddingContext,
  EvaluationOptions,
  Grammar,
  Llama,
  LlamaModule,
  Model,
  Sequence,
  Token,
} from './binding.ts';
import { chatHistory, functionsOf, generateCalls } from './calling.ts';
import type { Generated, GeneratedPart, Prompt } from './generated.ts';
import { Places } from './places.ts';
import { StopTexts } from './stopTexts.ts';

/** Sequences that a context holds at most: each has memory for all its tokens. */
const maxSequences = 8;

/** Loads llama.cpp and the weights. Throws where either can't be used. */
export async function openLlama(config: EngineConfig): Promise<LlamaEngine> {
  const name = 'node-llama-cpp';
  const module = (await import(name)) as LlamaModule;
  const options = {
    ...{ build: 'never', skipDownload: true, progressLogs: false, maxThreads: config.threads },
    logLevel: module.LlamaLogLevel.warn,
    logger: (level: string, message: string) => console.log(JSON.stringify({ level, message: message.trim() })),
  };
  const { llama, onGpu } = await startLlama(module, options, config.gpu);
  const model = await llama.loadModel({ modelPath: config.weights, gpuLayers: onGpu ? 'auto' : 0, useMmap: true });
  const sequences = Math.min(config.maxConcurrent, maxSequences);
  const context = await model.createContext({
    ...{ contextSize: config.contextTokens, sequences, threads: config.threads },
    // What a process may hold is kept around it, where no engine's estimate counts.
    ignoreMemorySafetyChecks: true,
  });
  return new LlamaEngine({ config, module, llama, model, onGpu, context, sequences });
}

/** On the GPU where that is asked for and works; where it may do without, the reason is printed to the app's log. */
export async function startLlama(
  module: Pick<LlamaModule, 'getLlama'>,
  options: object,
  gpu: EngineConfig['gpu'] = 'off',
): Promise<{ readonly llama: Llama; readonly onGpu: boolean }> {
  if (gpu !== 'off')
    try {
      return { llama: await module.getLlama({ ...options, gpu: 'cuda' }), onGpu: true };
    } catch (error) {
      if (gpu === 'required') throw error;
      console.warn(`The GPU can't be used: ${error instanceof Error ? error.message : String(error)}`);
    }
  return { llama: await module.getLlama({ ...options, gpu: false }), onGpu: false };
}

/** What is said of the engine beside an answer. */
export type EngineVersion = {
  readonly engine: 'llama-cpp';
  readonly llamaCpp: string;
  /** Where it has GPUs: how many of the model's layers are on them. */
  readonly gpuLayers?: number;
};

type Opened = {
  readonly config: EngineConfig;
  readonly module: LlamaModule;
  readonly llama: Llama;
  readonly model: Model;
  readonly onGpu: boolean;
  readonly context: Context;
  readonly sequences: number;
};

/** One model with one context, whose sequences are evaluated together, each of one call alone. */
export class LlamaEngine {
  readonly name: string;
  readonly maxTokens: number;
  readonly #opened: Opened;
  readonly #wrapper: ChatWrapper | null;
  readonly #places: Places;
  #embedding: Promise<EmbeddingContext> | undefined;

  constructor(opened: Opened) {
    this.#opened = opened;
    this.name = opened.config.name;
    this.maxTokens = opened.config.maxTokens;
    this.#wrapper = opened.module.resolveChatWrapper(opened.model);
    this.#places = new Places(opened.sequences);
  }

  get contextTokens(): number {
    const { context, config } = this.#opened;
    return Math.min(context.contextSize, config.contextTokens);
  }

  /** What the receipt says of the engine. */
  get version(): EngineVersion {
    const { llama, model, onGpu } = this.#opened;
    return {
      ...{ engine: 'llama-cpp', llamaCpp: llama.llamaCppRelease.release },
      ...(onGpu && { gpuLayers: model.gpuLayers }),
    };
  }

  /** A chat as the model's own template writes it, with the tools that it may call. */
  chatPrompt(turns: readonly ChatTurn[], tools: Tools | undefined): Prompt {
    const wrapper = this.#chatWrapper();
    const history = chatHistory(turns);
    const { contextText, stopGenerationTriggers } = wrapper.generateContextState({
      chatHistory: history,
      ...(tools && functionsOf(tools)),
    });
    return {
      tokens: this.#begun(contextText.tokenize(this.#opened.model.tokenizer)),
      stopTriggers: stopGenerationTriggers,
      ...(tools && { calling: { history, tools } }),
    };
  }

  textPrompt(text: string): Prompt {
    return { tokens: this.#begun(this.#opened.model.tokenize(text)), stopTriggers: [] };
  }

  /** Tokens that an answer to a prompt can have. Throws ApiError where there are none. */
  roomAfter({ tokens, calling }: Prompt): number {
    const reserved = reservedTokens + (calling === undefined ? 0 : reservedForCalls);
    const room = this.contextTokens - reserved - tokens.length;
    if (room > 0) return room;
    const most = Math.max(0, this.contextTokens - reserved - 1);
    const message = `The prompt has ${tokens.length} tokens, and at most ${most} leave room for an answer`;
    throw new ApiError(400, 'context_length_exceeded', message, 'messages');
  }

  /** Continues a prompt. Nothing of another call is in the sequence before, nothing of this one after. */
  async generate(
    prompt: Prompt,
    { sampling, maxTokens, stop }: Generation,
    grammar: Grammar | undefined,
    onPart: (part: GeneratedPart) => void,
    signal: AbortSignal,
  ): Promise<Generated> {
    const most = Math.min(maxTokens, this.roomAfter(prompt));
    const release = await this.#places.take(signal);
    const sequence = this.#opened.context.getSequence();
    const stopping = new AbortController();
    const texts = new StopTexts(stop, (text) => onPart({ kind: 'text', text }));
    const { temperature, topP, topK, minP, seed, frequencyPenalty, presencePenalty } = sampling;
    const options: EvaluationOptions = {
      ...{ temperature, topP, topK, minP, seed, maxTokens: most },
      signal: AbortSignal.any([signal, stopping.signal]),
      repeatPenalty: { penalty: 1, frequencyPenalty, presencePenalty },
      stopOnAbortSignal: true,
      onTextChunk: (text) => {
        texts.push(text);
        if (texts.stopped) stopping.abort();
      },
    };
    try {
      const { finish, calls } =
        prompt.calling === undefined
          ? { calls: [], finish: await this.#continueText(sequence, prompt, options, grammar) }
          : await generateCalls(this.#opened.module, this.#chatWrapper(), sequence, prompt.calling, options, onPart);
      signal.throwIfAborted();
      texts.end();
      return {
        text: texts.text,
        calls,
        finish: texts.stopped && finish === 'length' ? 'stop' : finish,
        promptTokens: prompt.tokens.length,
        // What the engine counts beyond the most that were asked for, it did to end a character.
        completionTokens: Math.min(sequence.tokenMeter.usedOutputTokens, most),
      };
    } finally {
      await sequence.clearHistory();
      await sequence.dispose();
      release();
    }
  }

  /** One vector for each text, and how many tokens they had. */
  async embed(texts: readonly string[]): Promise<{ vectors: (readonly number[])[]; tokens: number }> {
    const { model, config } = this.#opened;
    const contextSize = Math.min(this.contextTokens, model.trainContextSize);
    const inputs = texts.map((text) => this.#begun(model.tokenize(text)));
    const long = inputs.findIndex((tokens) => tokens.length >= contextSize);
    if (long !== -1)
      throw new ApiError(400, 'context_length_exceeded', `Text ${long} has more than ${contextSize} tokens`, 'input');
    this.#embedding ??= model.createEmbeddingContext({
      ...{ contextSize, threads: config.threads, ignoreMemorySafetyChecks: true },
    });
    const context = await this.#embedding;
    const vectors: (readonly number[])[] = [];
    for (const tokens of inputs) vectors.push((await context.getEmbeddingFor([...tokens])).vector);
    return { vectors, tokens: inputs.reduce((sum, tokens) => sum + tokens.length, 0) };
  }

  /** What keeps an answer to its form. Throws ApiError for a schema that can't be followed. */
  async grammar(form: OutputForm): Promise<Grammar | undefined> {
    const { llama } = this.#opened;
    if (form.type === 'text') return undefined;
    if (form.type === 'json') return llama.getGrammarFor('json');
    try {
      return await llama.createGrammarForJsonSchema(form.schema);
    } catch (error) {
      const why = error instanceof Error ? error.message.slice(0, 200) : 'unknown';
      throw new ApiError(400, 'invalid_json_schema', `The schema can't be followed: ${why}`, 'response_format');
    }
  }

  async #continueText(
    sequence: Sequence,
    { tokens, stopTriggers }: Prompt,
    options: EvaluationOptions,
    grammar: Grammar | undefined,
  ): Promise<'stop' | 'length'> {
    const completion = new this.#opened.module.LlamaCompletion({ contextSequence: sequence });
    try {
      const { metadata } = await completion.generateCompletionWithMeta(this.#withoutStart(tokens), {
        ...options,
        ...{ customStopTriggers: stopTriggers, disableContextShift: true },
        ...(grammar && { grammar }),
      });
      return metadata.stopReason === 'maxTokens' ? 'length' : 'stop';
    } finally {
      completion.dispose({ disposeSequence: false });
    }
  }

  #chatWrapper(): ChatWrapper {
    if (this.#wrapper !== null) return this.#wrapper;
    throw new ApiError(400, 'unsupported_model', 'The model has no chat template: use /v1/completions');
  }

  /** Tokens with the one that begins a text, where the model wants it and they don't have it. */
  #begun(tokens: readonly Token[]): readonly Token[] {
    const { bos, shouldPrependBosToken } = this.#opened.model.tokens;
    return bos === null || !shouldPrependBosToken || tokens[0] === bos ? tokens : [bos, ...tokens];
  }

  /** The engine puts that token there itself. */
  #withoutStart(tokens: readonly Token[]): readonly Token[] {
    const { bos, shouldPrependBosToken } = this.#opened.model.tokens;
    return shouldPrependBosToken && tokens[0] === bos ? tokens.slice(1) : tokens;
  }
}

/** Room that the engine keeps, so that it never drops the beginning of a text to go on. */
const reservedTokens = 2;
/** Room for what the engine itself writes around calls. */
const reservedForCalls = 128;
