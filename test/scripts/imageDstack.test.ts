import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { replayDstackLog } from '@cloister/attestation/verify';
import { type Bytes32, canonicalJson, dstackImageId, dstackMrConfigId, readMrConfigId } from '@cloister/core';
import { fromHex, toHex } from '@cloister/crypto';
import { describe, expect, test } from 'vitest';
import { fixtureJson, hasFixtures } from '../../packages/attestation/test/fixtures.ts';
import { dstackApp, dstackImageIdOf } from '../../scripts/lib/imageDstack.ts';
import { readImageOptions } from '../../scripts/lib/imageOptions.ts';
import { inRoot } from '../../scripts/lib/paths.ts';

const compose = fs.readFileSync(inRoot('image/docker-compose.yml'), 'utf8');
const image = `registry.example:5000/cloister/worker@sha256:${'ab'.repeat(32)}`;
const networkId: Bytes32 = `0x${'4e'.repeat(32)}`;
const init = { image, networkId, kmsId: undefined };

describe('dstackApp', () => {
  test('names the image by its digest, hashes the bytes as they are, and is canonical', () => {
    const { appCompose, composeHash } = dstackApp(compose, init);
    expect(composeHash).toBe(`0x${createHash('sha256').update(appCompose).digest('hex')}`);
    const app = JSON.parse(appCompose);
    expect(canonicalJson(app)).toBe(appCompose);
    expect(app.docker_compose_file).toContain(`image: "${image}"`);
    expect(app.docker_compose_file).toContain(`command: ["--networkId", "${networkId}"]`);
    expect(app.docker_compose_file).not.toContain('{{');
    expect(app).toMatchObject({ runner: 'docker-compose', allowed_envs: ['OPERATOR_KEY'], gateway_enabled: false });
    for (const hook of ['pre_launch_script', 'init_script', 'bash_script']) expect(app).not.toHaveProperty(hook);
  });

  test('gives MRCONFIGID as the guest reports it', () => {
    const { composeHash, mrConfigId } = dstackApp(compose, init);
    expect(mrConfigId).toBe(`0x01${composeHash.slice(2)}${'00'.repeat(15)}`);
  });

  test.skipIf(!hasFixtures)('real evidence: MRCONFIGID of a quote is made of the compose hash in its event log', () => {
    type GetQuote = { readonly quote: string; readonly event_log: string };
    const { quote, event_log: log } = fixtureJson<GetQuote>('dstack/tdx-lite-getquote.json');
    // Version 4: 48 bytes of header, MRCONFIGID at 184 of the body.
    const stated = Buffer.from(quote, 'hex').subarray(48 + 184, 48 + 184 + 48);
    const { composeHash } = replayDstackLog(log).claims;
    expect(toHex(dstackMrConfigId(composeHash as Bytes32))).toBe(`0x${stated.toString('hex')}`);
    expect(readMrConfigId(stated)).toEqual({ configId: composeHash, composeHash });
  });

  test('is another for another image, and for one changed byte of the compose file', () => {
    const { composeHash } = dstackApp(compose, init);
    const others = [
      dstackApp(compose, { ...init, image: image.replace('ab', 'ac') }),
      dstackApp(compose.replace('read_only: true', 'read_only: True'), init),
      dstackApp(compose, { ...init, networkId: `0x${'4f'.repeat(32)}` }),
      dstackApp(compose, { ...init, kmsId: 'ab'.repeat(91) }),
    ].map((other) => other.composeHash);
    expect(new Set([composeHash, ...others]).size).toBe(5);
  });

  test('names the key service where one was given', () => {
    const kmsId = 'ab'.repeat(91);
    expect(JSON.parse(dstackApp(compose, { ...init, kmsId }).appCompose).key_provider_id).toBe(kmsId);
    expect(JSON.parse(dstackApp(compose, init).appCompose)).not.toHaveProperty('key_provider_id');
  });

  test('takes the first name whose compose hash no network file could have, and says which', () => {
    const names = new Set<string>();
    for (let number = 0; names.size < 2 && number < 4096; number++) {
      const app = dstackApp(`${compose}# ${number}\n`, init);
      expect(app.composeHash).not.toMatch(/00$/);
      expect(readMrConfigId(fromHex(app.mrConfigId))?.composeHash).toBe(app.composeHash);
      expect(JSON.parse(app.appCompose).name).toBe(app.name);
      names.add(app.name);
    }
    expect([...names]).toEqual(['cloister-worker', 'cloister-worker-2']);
  });

  test.each([
    ['a tag', 'registry.example/worker:latest'],
    ['no digest', 'registry.example/worker'],
    ['a quote', `x"@sha256:${'ab'.repeat(32)}`],
    ['a line break', `x\n@sha256:${'ab'.repeat(32)}`],
    ['a variable', `\${X}@sha256:${'ab'.repeat(32)}`],
    ['capitals', `X@sha256:${'ab'.repeat(32)}`],
  ])('refuses an image by %s', (_, name) => {
    expect(() => dstackApp(compose, { ...init, image: name })).toThrow(
      expect.objectContaining({ code: 'SCRIPT_BAD_ARGUMENT' }),
    );
  });

  test.each(['{{image}}', '{{network}}'])('refuses a compose file that has no place for %s', (place) => {
    expect(() => dstackApp(compose.replace(place, 'x'), init)).toThrow(
      expect.objectContaining({ code: 'SCRIPT_BAD_ARGUMENT', message: expect.stringContaining(place) }),
    );
  });
});

describe("what dstack's own image measures to", () => {
  const registers = { mrtd: 'AA', rtmr0: 'bb', rtmr1: 'cc', rtmr2: 'dd' };
  const argv = Object.entries(registers).flatMap(([name, byte]) => [`--${name}`, `0x${byte.repeat(48)}`]);

  test('stands beside the hash as it was given', () => {
    expect(readImageOptions(argv).dstackOs).toEqual(
      Object.fromEntries(Object.entries(registers).map(([name, byte]) => [name, `0x${byte.toLowerCase().repeat(48)}`])),
    );
    expect(readImageOptions([]).dstackOs).toBeUndefined();
  });

  test('gives the image id that governance allows, with the compose hash', () => {
    const os = readImageOptions(argv).dstackOs ?? expect.fail('No registers');
    const { composeHash } = dstackApp(compose, init);
    const bytes = (byte: number) => new Uint8Array(48).fill(byte);
    const registers = { mrtd: bytes(0xaa), rtmr0: bytes(0xbb), rtmr1: bytes(0xcc), rtmr2: bytes(0xdd) };
    expect(dstackImageIdOf(os, composeHash)).toBe(dstackImageId(registers, composeHash));
  });

  test('a key service is a public key', () => {
    expect(readImageOptions(['--kms-id', `0x${'AB'.repeat(91)}`]).kmsId).toBe('ab'.repeat(91));
    expect(readImageOptions([]).kmsId).toBeUndefined();
    for (const wrong of ['', 'zz'.repeat(91), 'abc', 'ab'.repeat(32), 'ab'.repeat(513)])
      expect(() => readImageOptions(['--kms-id', wrong])).toThrow(
        expect.objectContaining({ code: 'SCRIPT_BAD_ARGUMENT', message: expect.stringContaining('--kms-id') }),
      );
  });
});
