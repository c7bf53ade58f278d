import { CloisterError } from '@cloister/core';
import { expect, test } from 'vitest';
import { resolveApp, unknownNameHint } from '../src/appName.ts';

class AnyError extends CloisterError<string> {}
const error = (code: string, message: string) => new AnyError({ code, message });
const id = `0x${'AB'.repeat(32)}`;

test('an id is one, whoever asks, and has no name to tell', async () => {
  expect(await resolveApp(id, {})).toBe(id.toLowerCase());
  expect(unknownNameHint(error('REGISTRY_APP_UNKNOWN', `No app "${id.toLowerCase()}"`))).toBeUndefined();
});

test('other errors get no hint', () => {
  expect(unknownNameHint(error('CLIENT_OTHER', 'x'))).toBeUndefined();
  expect(unknownNameHint(new Error('x'))).toBeUndefined();
});
