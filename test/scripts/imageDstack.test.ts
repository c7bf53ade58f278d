import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { replayDstackLog } from '@cloister/attestation/verify';
import { canonicalJson } from '@cloister/core';
import { describe, expect, test } from 'vitest';
import { fixtureJson, hasFixtures } from '../../packages/attestation/test/fixtures.ts';
import { dstackApp, dstackMrConfigId } from '../../scripts/lib/imageDstack.ts';
import { readImageOptions } from '../../scripts/lib/imageOptions.ts';
import { inRoot } from '../../scripts/lib/paths.ts';

const compose = fs.readFileSync(inRoot('image/docker-compose.yml'), 'utf8');
const image = `registry.example:5000/cloister/worker@sha256:${'ab'.repeat(32)}`;

describe('dstackApp', () => {
  test('names the image by its digest, hashes the bytes as they are, and is canonical', () => {
    const { appCompose, composeHash } = dstackApp(compose, image);
    expect(composeHash).toBe(`0x${createHash('sha256').update(appCompose).digest('hex')}`);
    const app = JSON.parse(appCompose);
    expect(canonicalJson(app)).toBe(appCompose);
    expect(app.docker_compose_file).toContain(`image: "${image}"`);
    expect(app.docker_compose_file).not.toContain('{{');
    expect(app).toMatchObject({ runner: 'docker-compose', allowed_envs: ['OPERATOR_KEY'], gateway_enabled: false });
    for (const hook of ['pre_launch_script', 'init_script', 'bash_script']) expect(app).not.toHaveProperty(hook);
  });

  test('gives MRCONFIGID as the guest reports it', () => {
    const { composeHash, mrConfigId } = dstackApp(compose, image);
    expect(mrConfigId).toBe(`0x01${composeHash.slice(2)}${'00'.repeat(15)}`);
  });

  test.skipIf(!hasFixtures)('real evidence: MRCONFIGID of a quote is made of the compose hash in its event log', () => {
    type GetQuote = { readonly quote: string; readonly event_log: string };
    const { quote, event_log: log } = fixtureJson<GetQuote>('dstack/tdx-lite-getquote.json');
    // Version 4: 48 bytes of header, MRCONFIGID at 184 of the body.
    const stated = Buffer.from(quote, 'hex').subarray(48 + 184, 48 + 184 + 48);
    expect(dstackMrConfigId(replayDstackLog(log).claims.composeHash as `0x${string}`)).toBe(
      `0x${stated.toString('hex')}`,
    );
  });

  test('is another for another image, and for one changed byte of the compose file', () => {
    const { composeHash } = dstackApp(compose, image);
    expect(dstackApp(compose, image.replace('ab', 'ac')).composeHash).not.toBe(composeHash);
    expect(dstackApp(compose.replace('read_only: true', 'read_only: True'), image).composeHash).not.toBe(composeHash);
  });

  test.each([
    ['a tag', 'registry.example/worker:latest'],
    ['no digest', 'registry.example/worker'],
    ['a quote', `x"@sha256:${'ab'.repeat(32)}`],
    ['a line break', `x\n@sha256:${'ab'.repeat(32)}`],
    ['a variable', `\${X}@sha256:${'ab'.repeat(32)}`],
    ['capitals', `X@sha256:${'ab'.repeat(32)}`],
  ])('refuses an image by %s', (_, name) => {
    expect(() => dstackApp(compose, name)).toThrow(expect.objectContaining({ code: 'SCRIPT_BAD_ARGUMENT' }));
  });

  test('refuses a compose file that has no place for the image', () => {
    expect(() => dstackApp('services: {}\n', image)).toThrow(expect.objectContaining({ code: 'SCRIPT_BAD_ARGUMENT' }));
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
});
