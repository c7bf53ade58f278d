import { canonicalJson } from '@cloister/core';
import { expect, test } from 'vitest';
import { modelDetails } from '../src/models/modelDetails.ts';

const identity = { engine: 'llama-cpp', engineVersion: '3.22.1', weights: `0x${'ab'.repeat(32)}` } as const;
const sampling = { temperature: 0.7, topP: 1, topK: 0, minP: 0, frequencyPenalty: 0, presencePenalty: 0, seed: 7 };
const run = { promptTokens: 5, completionTokens: 3, finish: 'stop', output: 'text', sampling };

test('a receipt names weights, engine, sampling and counts', () => {
  const details = modelDetails(identity, run);
  expect(details).toEqual({ ...identity, run });
  expect(canonicalJson(details)).toContain('"temperature":0.7');
  expect(modelDetails(identity, { ...run, gpuLayers: 3 })).toEqual({ ...identity, run: { ...run, gpuLayers: 3 } });
});

test('without a report there is what the worker knows itself', () => {
  expect(modelDetails(identity, undefined)).toEqual(identity);
});

test('a report of a process that was taken over brings in no text and no odd number', () => {
  const hostile = {
    engine: 'another',
    weights: '0x00',
    promptTokens: 'five',
    completionTokens: Number.POSITIVE_INFINITY,
    finish: 'the answer was: secret',
    output: ['text'],
    sampling: { seed: 'secret', temperature: 1, more: 'text' },
    more: { text: 'secret' },
  };
  expect(modelDetails(identity, hostile as never)).toEqual({ ...identity, run: { sampling: { temperature: 1 } } });
  expect(modelDetails(identity, { sampling: null } as never)).toEqual({ ...identity, run: {} });
});
