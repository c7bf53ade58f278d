import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfigOf, config, loadConfig, logLevelFromEnvironment } from '@cloister/service';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

const schema = config.object({
  listen: config.object({
    host: config.text({ default: '127.0.0.1' }),
    port: config.integer({ min: 0, max: 65_535 }),
  }),
  url: config.url({ default: 'http://127.0.0.1' }),
  mode: config.oneOf(['fast', 'safe'], { default: 'safe' }),
  simulated: config.boolean({ default: false }),
  gateways: config.list(config.url(), { max: 3, default: [] }),
  dataDir: config.optional(config.text({ max: 10 })),
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-config-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.unstubAllEnvs();
});

function file(content: string): string {
  const path = join(folder, 'config.json');
  writeFileSync(path, content);
  return path;
}

describe('loadConfig', () => {
  test('reads a file, and flags over it', () => {
    const path = file('{"listen":{"port":80},"mode":"fast","gateways":["http://a.example/"]}');
    const loaded: { config: ConfigOf<typeof schema> } = loadConfig(schema, ['--config', path]);
    expect(loaded.config).toEqual({
      listen: { host: '127.0.0.1', port: 80 },
      url: 'http://127.0.0.1',
      mode: 'fast',
      simulated: false,
      gateways: ['http://a.example'],
      dataDir: undefined,
    });
    const flags = [
      '--listen.port',
      '81',
      '--listen.host=::1',
      '--simulated',
      '--gateways',
      'http://b,http://c/x/',
      '--dataDir=a=b',
      '--config',
      path,
    ];
    expect(loadConfig(schema, flags)).toMatchObject({
      config: {
        listen: { host: '::1', port: 81 },
        simulated: true,
        gateways: ['http://b', 'http://c/x'],
        mode: 'fast',
        dataDir: 'a=b',
      },
      file: path,
    });
    expect(loadConfig(schema, ['--listen.port=0', '--gateways', '["http://d"]']).config.gateways).toEqual(['http://d']);
    expect(loadConfig(schema, ['--listen.port=0', '--gateways', '']).config.gateways).toEqual([]);
  });

  test('knows the launcher by its flags', () => {
    expect(loadConfig(schema, ['--listen.port=0', '--parent-pid', '42', '--parent-stdin']).launcher).toEqual({
      parentPid: 42,
      parentStdin: true,
    });
    expect(loadConfig(schema, ['--listen.port=0']).launcher).toEqual({ parentPid: undefined, parentStdin: false });
  });

  test.each([
    ['CONFIG_MISSING_FIELD', '{}', [], 'listen.port'],
    ['CONFIG_UNKNOWN_FIELD', '{"listen":{"port":1,"prot":2}}', [], 'listen.prot'],
    ['CONFIG_UNKNOWN_FIELD', '{"listen":{"port":1},"__proto__":{}}', [], '__proto__'],
    ['CONFIG_UNKNOWN_FIELD', '{"listen":{"port":1}}', ['--constructor', 'x'], 'constructor'],
    ['CONFIG_UNKNOWN_FIELD', '{"listen":{"port":1}}', ['--listen.prot', 'x'], 'listen.prot'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":65536}}', [], 'listen.port'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":"80"}}', [], 'listen.port'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1.5}}', [], 'listen.port'],
    ['CONFIG_INVALID_FIELD', '{"listen":80}', [], 'listen'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1}}', ['--listen.port', '0x50'], 'listen.port'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1}}', ['--listen.port', ''], 'listen.port'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1}}', ['--listen', 'x'], 'listen'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1},"mode":"best"}', [], 'mode'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1},"simulated":"true"}', [], 'simulated'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1},"url":"file:///etc"}', [], 'url'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1},"url":"http://user:pw@host"}', [], 'url'],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1},"gateways":["http://a","x"]}', [], 'gateways[1]'],
    [
      'CONFIG_INVALID_FIELD',
      '{"listen":{"port":1},"gateways":["http://a","http://a","http://a","http://a"]}',
      [],
      'gateways',
    ],
    ['CONFIG_INVALID_FIELD', '{"listen":{"port":1},"dataDir":"12345678901"}', [], 'dataDir'],
  ])('refuses by name: %s %s %j', (code, content, flags, field) => {
    expect(() => loadConfig(schema, ['--config', file(content), ...flags])).toThrow(
      expect.objectContaining({ code, meta: expect.objectContaining({ field }), hint: expect.any(String) }),
    );
  });

  test('refuses files and flags that it cannot read', () => {
    expect(() => loadConfig(schema, ['--config', join(folder, 'absent')])).toThrow(
      expect.objectContaining({ code: 'CONFIG_FILE_UNREADABLE' }),
    );
    expect(() => loadConfig(schema, ['--config', folder])).toThrow(
      expect.objectContaining({ code: 'CONFIG_FILE_UNREADABLE' }),
    );
    expect(() => loadConfig(schema, ['--config', file('{"listen":')])).toThrow(
      expect.objectContaining({ code: 'CONFIG_FILE_MALFORMED' }),
    );
    expect(() => loadConfig(schema, ['--config', file('[]')])).toThrow(
      expect.objectContaining({ code: 'CONFIG_FILE_MALFORMED' }),
    );
    expect(() => loadConfig(schema, ['--config', file(' '.repeat(1_048_577))])).toThrow(
      expect.objectContaining({ code: 'CONFIG_FILE_UNREADABLE' }),
    );
    for (const flags of [
      ['--config'],
      ['port'],
      ['-p', '1'],
      ['--'],
      ['--__proto__.x', '1'],
      ['--parent-pid', 'me'],
      ['--a..b', '1'],
    ])
      expect(() => loadConfig(schema, flags)).toThrow(expect.objectContaining({ code: 'CONFIG_BAD_FLAG' }));
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('the log level is the one thing taken from the environment', () => {
    vi.stubEnv('CLOISTER_LOG_LEVEL', '');
    expect(logLevelFromEnvironment()).toBe('info');
    vi.stubEnv('CLOISTER_LOG_LEVEL', 'debug');
    expect(logLevelFromEnvironment()).toBe('debug');
    vi.stubEnv('CLOISTER_LOG_LEVEL', 'loud');
    expect(() => logLevelFromEnvironment()).toThrow(/CLOISTER_LOG_LEVEL/);
  });
});
