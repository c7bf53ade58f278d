import type { ChatTurn } from '../openai/chatMessages.ts';
import type { Tools } from '../openai/tools.ts';
import type {
  ChatFunctions,
  ChatItem,
  ChatWrapper,
  EvaluationOptions,
  FunctionCall,
  LlamaModule,
  Sequence,
} from './binding.ts';
import type { Generated, GeneratedPart, Prompt } from './generated.ts';

/** A chat as the engine's templates read it, with the model's turn at its end. */
export function chatHistory(turns: readonly ChatTurn[]): ChatItem[] {
  const items = turns.map((turn): ChatItem => {
    if (turn.role !== 'assistant') return { type: turn.role, text: turn.text };
    const response = turn.parts.map((part, index): string | FunctionCall => {
      if (typeof part === 'string') return part;
      const startsNewChunk = typeof turn.parts[index - 1] !== 'object';
      return { type: 'functionCall', name: part.name, params: part.arguments, result: part.result, startsNewChunk };
    });
    return { type: 'model', response };
  });
  const last = turns.at(-1);
  // After the answers of tools the model's turn is not over.
  const goesOn = last?.role === 'assistant' && typeof last.parts.at(-1) === 'object';
  return goesOn ? items : [...items, { type: 'model', response: [] }];
}

/** Tools as the engine takes them: described to the model, with their arguments' schemas. */
export function functionsOf({ list }: Tools): { availableFunctions: ChatFunctions; documentFunctionParams: true } {
  const functions = list.map(({ name, description, schema }) => [
    name,
    { ...(description !== undefined && { description }), params: schema },
  ]);
  return { availableFunctions: Object.fromEntries(functions) as ChatFunctions, documentFunctionParams: true };
}

/**
 * Lets the model answer with text, with calls, or with both. It calls in the syntax of its own template, which the engine watches for; from
 * there on, or from the start where a call is required, a grammar holds it to the names of the tools and the schemas of their arguments.
 */
export async function generateCalls(
  { LlamaChat }: LlamaModule,
  wrapper: ChatWrapper,
  contextSequence: Sequence,
  { history, tools }: NonNullable<Prompt['calling']>,
  options: EvaluationOptions,
  onPart: (part: GeneratedPart) => void,
): Promise<Pick<Generated, 'calls' | 'finish'>> {
  const chatWrapper = tools.required ? callingFirst(wrapper) : wrapper;
  const chat = new LlamaChat({ contextSequence, chatWrapper });
  const calls: { name: string; arguments: string }[] = [];
  const full = new AbortController();
  const { availableFunctions: functions, documentFunctionParams } = functionsOf(tools);
  try {
    const { metadata } = await chat.generateResponse(history, {
      ...options,
      ...{ functions, documentFunctionParams, maxParallelFunctionCalls: tools.maxCalls },
      signal: AbortSignal.any([options.signal, full.signal]),
      onTextChunk: (text) => {
        if (!full.signal.aborted) options.onTextChunk(text);
      },
      onFunctionCallParamsChunk: ({ callIndex, functionName: name, paramsChunk }) => {
        if (full.signal.aborted) return;
        const call = calls[callIndex] ?? { name, arguments: '' };
        if (!(callIndex in calls)) {
          calls[callIndex] = call;
          onPart({ kind: 'call', call: callIndex, name });
        }
        // The grammar allows line ends between values, and four of them end the arguments; inside a text there is none.
        const text = paramsChunk.replaceAll('\n', '');
        if (text === '') return;
        call.arguments += text;
        onPart({ kind: 'arguments', call: callIndex, text });
      },
      // The engine would drop what is at the beginning of the chat, and go on: an answer to a part of it.
      contextShift: {
        strategy: ({ chatHistory: kept }) => {
          full.abort();
          return { chatHistory: kept };
        },
      },
    });
    const isCut = full.signal.aborted || metadata.stopReason === 'maxTokens';
    return { calls, finish: isCut ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop' };
  } finally {
    chat.dispose({ disposeSequence: false });
  }
}

/** The same template, where an answer begins with a call. */
function callingFirst(wrapper: ChatWrapper): ChatWrapper {
  const forced: ChatWrapper = Object.create(wrapper);
  forced.generateContextState = (options) => {
    const { contextText, stopGenerationTriggers } = wrapper.generateContextState(options);
    const functionCall = { initiallyEngaged: true, disengageInitiallyEngaged: [] };
    return { contextText, stopGenerationTriggers, functionCall };
  };
  return forced;
}
