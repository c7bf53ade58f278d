import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createSimulatedSnpRoot,
  loadSimulatedSnpRoot,
  openSimulatedChip,
  SimulatedSnpDevice,
  simulatedSnpImageId,
} from '../src/unsafe-simulated/index.ts';
import { appraise, EvidenceVerifier, networkPolicy } from '../src/verify/index.ts';
import { now } from './synthetic.ts';

const signal = AbortSignal.timeout(60_000);
const configId = `0x${'ab'.repeat(32)}` as const;
const image = {
  mrtd: new Uint8Array(48).fill(1),
  rtmr0: new Uint8Array(48).fill(2),
  rtmr1: new Uint8Array(48).fill(3),
  rtmr2: new Uint8Array(48).fill(4),
};
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-simulated-snp-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the root of a folder is made once, kept, and closed to others; a name is a chip', async () => {
  const dir = join(folder, 'once');
  const made = await createSimulatedSnpRoot(dir, now);
  expect((await createSimulatedSnpRoot(dir, now)).trustRoot).toEqual(made.trustRoot);
  expect((await loadSimulatedSnpRoot(dir)).ark.certificate).toEqual(made.ark.certificate);
  const [chip, same, other] = [
    await openSimulatedChip(dir, 'platform-0', now),
    await openSimulatedChip(dir, 'platform-0', now),
    await openSimulatedChip(dir, 'platform-1', now),
  ];
  expect(same.chipId).toEqual(chip.chipId);
  expect(other.chipId).not.toEqual(chip.chipId);
  const files = await readdir(dir);
  expect(files).toHaveLength(3);
  for (const file of files) {
    expect(file).toMatch(/^unsafe-simulated-/);
    expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
  }
});

test('evidence after a restart leads to the same root, and says image, network file and chip', async () => {
  const dir = join(folder, 'restart');
  const { trustRoot } = await createSimulatedSnpRoot(dir, now);
  expect(trustRoot).toMatchObject({ simulated: true, vendor: 'amd', name: expect.stringContaining('DEV') });
  const verifier = new EvidenceVerifier({ roots: [trustRoot] });
  const claimsOf = async (platform: string, changed: Partial<typeof image> = {}) => {
    const chip = await openSimulatedChip(dir, platform, now);
    const device = new SimulatedSnpDevice({ chip, image: { ...image, ...changed }, configId, now: () => now });
    return verifier.verify(await device.quote(new Uint8Array(64).fill(7), { signal }), now);
  };
  const claims = await claimsOf('platform-0');
  expect(claims).toMatchObject({
    simulated: true,
    debug: false,
    configId,
    imageId: simulatedSnpImageId(image),
    reportData: `0x${'07'.repeat(64)}`,
  });
  expect((await claimsOf('platform-0')).platformId).toBe(claims.platformId);
  expect((await claimsOf('platform-1')).platformId).not.toBe(claims.platformId);
  expect((await claimsOf('platform-0', { rtmr2: new Uint8Array(48) })).imageId).not.toBe(claims.imageId);
  expect(appraise(claims, networkPolicy({ simulated: true }))).toEqual({ ok: true });
  // Its firmware would do on a real network; that it is simulated does not.
  expect(appraise(claims, networkPolicy({ simulated: false }))).toMatchObject({
    refusal: { code: 'SIMULATED_REFUSED' },
  });
  expect(appraise({ ...claims, simulated: false }, networkPolicy({ simulated: false }))).toEqual({ ok: true });
});

describe('what is not there, or damaged, is named', () => {
  test.each([
    ['no JSON', '{'],
    ['another format', '{"format":"x"}'],
    ['keys that are none', '{"format":"cloister-unsafe-simulated-snp-root-1","ark":{"key":"","certificate":""}}'],
  ])('a root with %s', async (name, text) => {
    const dir = join(folder, name.replaceAll(' ', '-'));
    await mkdir(dir);
    await writeFile(join(dir, 'unsafe-simulated-snp-root.json'), text);
    await expect(createSimulatedSnpRoot(dir, now)).rejects.toMatchObject({ code: 'SIMULATED_FILE_MALFORMED' });
  });

  test('no root, and a name that is a path', async () => {
    await expect(loadSimulatedSnpRoot(join(folder, 'nothing'))).rejects.toMatchObject({
      code: 'SIMULATED_ROOT_MISSING',
    });
    for (const name of ['', '../x', 'A'])
      await expect(openSimulatedChip(folder, name, now)).rejects.toMatchObject({ code: 'INVALID_PLATFORM_NAME' });
  });
});
