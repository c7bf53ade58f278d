import { CloisterError } from '@cloister/core';
import { createLogger } from '@cloister/service';
import { describe, expect, test } from 'vitest';

function lines(level: 'debug' | 'info' = 'info') {
  const written: string[] = [];
  const log = createLogger({ name: 'test', level, write: (line) => written.push(line) });
  return { log, read: () => written.map((line) => JSON.parse(line)) };
}

class Secret {
  readonly bytes = [1, 2, 3];
  toJSON(): string {
    return '[secret]';
  }
}

describe('createLogger', () => {
  test('writes one JSON object a line, with level, time, name and fields', () => {
    const { log, read } = lines();
    log.info('gateway:listen', { port: 80 });
    log.child({ worker: 'w1' }).warn('worker:late');
    log.debug('unseen');
    expect(read()).toMatchObject([
      { level: 'info', name: 'test', msg: 'gateway:listen', port: 80, time: expect.stringMatching(/^\d{4}-.*Z$/) },
      { level: 'warn', msg: 'worker:late', worker: 'w1' },
    ]);
  });

  test('prints no secrets, no bytes, and nothing without bound', () => {
    const { log, read } = lines();
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    log.info('x', {
      key: new Secret(),
      privateKey: '0x01',
      nested: { Authorization: 'Bearer x', list: [{ clientSecret: 's' }] },
      body: new Uint8Array(70_000),
      amount: 10n ** 30n,
      text: 'y'.repeat(5_000),
      many: Array.from({ length: 500 }, () => 1),
      circular,
    });
    const [line] = read();
    expect(line).toMatchObject({
      key: '[secret]',
      privateKey: '[redacted]',
      nested: { Authorization: '[redacted]', list: [{ clientSecret: '[redacted]' }] },
      body: '[70000 bytes]',
      amount: `1${'0'.repeat(30)}`,
    });
    expect(line.text.length).toBeLessThan(2_010);
    expect(line.many.length).toBe(50);
    expect(JSON.stringify(line)).not.toContain('Bearer');
  });

  test('prints errors with code, hint, meta and cause', () => {
    const { log, read } = lines();
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    log.error('x', {
      error: new CloisterError({
        code: 'GONE',
        message: 'It is gone',
        hint: 'Look',
        meta: { at: 5n, secretKey: 'k' },
        cause,
      }),
    });
    expect(read()[0].error).toMatchObject({
      name: 'CloisterError',
      code: 'GONE',
      message: 'It is gone',
      hint: 'Look',
      meta: { at: '5', secretKey: '[redacted]' },
      cause: { code: 'ECONNREFUSED', message: 'refused', stack: expect.stringContaining('logger.test') },
    });
  });
});
