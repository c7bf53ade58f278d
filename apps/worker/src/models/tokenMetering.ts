import type { Manifest, Metering } from '@cloister/core';
import type { RunReport } from '@cloister/sandbox';

/**
 * The tokens of a run, as prices count them: what the engine reports from inside the walls, and never more of an answer than the manifest
 * allows. An engine that says nothing, as one that broke off, has counted none.
 */
export function tokensOf(
  { model }: Pick<Manifest, 'model'>,
  report: RunReport | undefined,
): Pick<Metering, 'inputTokens' | 'outputTokens'> {
  if (model === undefined || report === undefined) return {};
  const [inputTokens, outputTokens] = [countOf(report.promptTokens), countOf(report.completionTokens)];
  if (inputTokens === undefined || outputTokens === undefined) return {};
  return { inputTokens, outputTokens: Math.min(outputTokens, model.maxTokens) };
}

function countOf(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}
