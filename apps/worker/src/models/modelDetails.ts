import type { Json } from '@cloister/core';
import type { RunReport, RunReportValue } from '@cloister/sandbox';
import type { ModelIdentity } from './modelLoader.ts';

/**
 * What a receipt says of a model's run: weights and engine as this worker loaded them, sampling and counts as the engine
 * reports them. That report comes from the process which also made the answer, so only numbers and known words pass.
 */
export function modelDetails(identity: ModelIdentity, report: RunReport | undefined): { [key: string]: Json } {
  const { engine, engineVersion, weights } = identity;
  const run = report === undefined ? undefined : runOf(report);
  return { engine, engineVersion, weights, ...(run === undefined ? {} : { run }) };
}

const numbers = ['promptTokens', 'completionTokens', 'gpuLayers'] as const;
const samplingNumbers = [
  ...['temperature', 'topP', 'topK', 'minP', 'frequencyPenalty', 'presencePenalty', 'seed'],
] as const;
const words: Readonly<Record<string, readonly string[]>> = {
  output: ['text', 'json', 'schema', 'tools'],
  finish: ['stop', 'length', 'tool_calls'],
};

function runOf(report: RunReport): { [key: string]: Json } {
  const sampling = isReport(report.sampling) ? pickNumbers(report.sampling, samplingNumbers) : undefined;
  return {
    ...pickNumbers(report, numbers),
    ...(sampling === undefined ? {} : { sampling }),
    ...Object.fromEntries(
      Object.entries(words).flatMap(([name, allowed]) => {
        const value = report[name];
        return typeof value === 'string' && allowed.includes(value) ? [[name, value]] : [];
      }),
    ),
  };
}

function pickNumbers(from: RunReport, names: readonly string[]): { [key: string]: Json } {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = from[name];
      return typeof value === 'number' && Number.isFinite(value) ? [[name, value]] : [];
    }),
  );
}

function isReport(value: RunReportValue | undefined): value is RunReport {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
