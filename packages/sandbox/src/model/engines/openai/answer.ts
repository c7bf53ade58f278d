import type { EngineAnswer } from '../../host/engine.ts';
import type { Generated, GeneratedPart, Prompt } from '../llama/generated.ts';
import type { LlamaEngine } from '../llama/llamaEngine.ts';
import { paddedJson } from './asciiJson.ts';
import { type Clock, event, lastEvent, pacedStream, systemTick } from './pacedStream.ts';
import type { Generation, OutputForm } from './sampling.ts';

/** How one endpoint writes what was generated. */
export type Shape = {
  /** The whole answer. */
  readonly whole: (generated: Generated) => object;
  /** The first event of a stream, if any. */
  readonly begin?: () => object;
  readonly part: (part: GeneratedPart) => object;
  readonly end: (generated: Generated) => object;
  /** The event with the counts, where it was asked for. */
  readonly usage: (generated: Generated) => object;
};

/**
 * Generates and answers, at once or as a stream.
 * @param tick when the pieces of a stream leave
 */
export async function generatedAnswer(
  engine: Pick<LlamaEngine, 'roomAfter' | 'grammar' | 'generate' | 'version'>,
  prompt: Prompt,
  generation: Generation,
  form: OutputForm,
  shape: Shape,
  signal: AbortSignal,
  tick: Clock = systemTick,
): Promise<EngineAnswer> {
  // All that can be refused is refused before an answer begins.
  engine.roomAfter(prompt);
  const grammar = await engine.grammar(form);
  let generated: Generated | undefined;
  const report = (): object | undefined =>
    generated && {
      ...engine.version,
      sampling: generation.sampling,
      output: prompt.calling === undefined ? form.type : 'tools',
      promptTokens: generated.promptTokens,
      completionTokens: generated.completionTokens,
      finish: generated.finish,
    };
  if (!generation.stream) {
    generated = await engine.generate(prompt, generation, grammar, () => {}, signal);
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: paddedJson(shape.whole(generated)),
      report,
    };
  }
  let pending: GeneratedPart[] = [];
  let events = shape.begin === undefined ? '' : event(shape.begin());
  const next = (): string => {
    const all = events + pending.map((part) => event(shape.part(part))).join('');
    [pending, events] = [[], ''];
    return all;
  };
  const onPart = (part: GeneratedPart): void => {
    pending = joined(pending, part);
  };
  const end = engine.generate(prompt, generation, grammar, onPart, signal).then((done) => {
    generated = done;
    events = next() + event(shape.end(done)) + (generation.includeUsage ? event(shape.usage(done)) : '') + lastEvent;
  });
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
    body: pacedStream(next, end, tick),
    report,
  };
}

/** Parts with one more: what goes on with the last becomes one with it. */
export function joined(parts: GeneratedPart[], part: GeneratedPart): GeneratedPart[] {
  const last = parts.at(-1);
  const goesOn =
    (last?.kind === 'text' && part.kind === 'text') ||
    (last?.kind === 'arguments' && part.kind === 'arguments' && last.call === part.call);
  if (!goesOn) parts.push(part);
  else parts[parts.length - 1] = { ...part, text: last.text + part.text };
  return parts;
}

export function usageOf({ promptTokens, completionTokens }: Generated): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
