import type { Tools } from '../openai/tools.ts';
import type { ChatItem, Token } from './binding.ts';

/** What a text is continued from. */
export type Prompt = {
  readonly tokens: readonly Token[];
  readonly stopTriggers: readonly unknown[];
  /** Where the answer may call tools, or must. */
  readonly calling?: { readonly history: readonly ChatItem[]; readonly tools: Tools };
};

/** A piece of an answer as it comes: of its text, the name of a call, or of its arguments. */
export type GeneratedPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'call'; readonly call: number; readonly name: string }
  | { readonly kind: 'arguments'; readonly call: number; readonly text: string };

export type Generated = {
  readonly text: string;
  /** Arguments as JSON, cut where the answer was. */
  readonly calls: readonly { readonly name: string; readonly arguments: string }[];
  readonly finish: 'stop' | 'length' | 'tool_calls';
  readonly promptTokens: number;
  readonly completionTokens: number;
};
