import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Hex, mrConfigIdOf, tdxImageId } from '@cloister/core';
import { concatBytes, sha384, toHex, utf8 } from '@cloister/crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createSimulatedPlatform,
  createSimulatedRoot,
  extendRtmr,
  loadSimulatedRoot,
  measureImage,
  openSimulatedPlatform,
  SimulatedTdxDevice,
  type SimulatedTdxDeviceInit,
} from '../src/unsafe-simulated/index.ts';
import { appraise, EvidenceVerifier, quoteOf } from '../src/verify/index.ts';
import { now, oracleOf, sharedRoot } from './synthetic.ts';

let folder = '';
const signal = AbortSignal.timeout(60_000);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-attestation-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('simulated root on disk', () => {
  test('is made once, kept, and closed to others', async () => {
    const dir = join(folder, 'once');
    const made = await createSimulatedRoot(dir, now);
    expect((await createSimulatedRoot(dir, now)).trustRoot).toEqual(made.trustRoot);
    expect((await loadSimulatedRoot(dir)).trustRoot).toEqual(made.trustRoot);
    const platform = await openSimulatedPlatform(dir, 'platform-0', now);
    expect((await openSimulatedPlatform(dir, 'platform-0', now)).tcb.ppid).toEqual(platform.tcb.ppid);
    expect((await openSimulatedPlatform(dir, 'platform-1', now)).tcb.ppid).not.toEqual(platform.tcb.ppid);
    const files = await readdir(dir);
    expect(files).toHaveLength(3);
    for (const file of files) {
      expect(file).toMatch(/^unsafe-simulated-/);
      expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
    }
  });

  test('two at once get the same', async () => {
    const dir = join(folder, 'race');
    const roots = await Promise.all(Array.from({ length: 8 }, () => createSimulatedRoot(dir, now)));
    expect(new Set(roots.map((root) => root.trustRoot.spkiSha256)).size).toBe(1);
    const platforms = await Promise.all(Array.from({ length: 8 }, () => openSimulatedPlatform(dir, 'p', now)));
    expect(new Set(platforms.map((platform) => toHex(platform.tcb.ppid))).size).toBe(1);
    expect((await readdir(dir)).filter((file) => file.endsWith('.tmp'))).toEqual([]);
  });

  test('two folders have two roots', async () => {
    const [one, two] = await Promise.all(['one', 'two'].map((name) => createSimulatedRoot(join(folder, name), now)));
    expect(one?.trustRoot.spkiSha256).not.toBe(two?.trustRoot.spkiSha256);
  });

  test('evidence after a restart leads to the same root', async () => {
    const dir = join(folder, 'restart');
    const before = await createSimulatedRoot(dir, now);
    const device = new SimulatedTdxDevice(await deviceInit(dir));
    const evidence = await device.quote(new Uint8Array(64), { signal });
    const claims = await new EvidenceVerifier({ roots: [before.trustRoot] }).verify(evidence, now);
    expect(claims).toMatchObject({ simulated: true, tcbStatus: 'UpToDate' });
  });

  test.each([
    ['no JSON', '{'],
    ['another format', '{"format":"x"}'],
    ['keys that are none', '{"format":"cloister-unsafe-simulated-root-1","root":{"key":"","certificate":""}}'],
  ])('a file with %s is named', async (name, text) => {
    const dir = join(folder, `bad-${name.replaceAll(' ', '-')}`);
    await mkdir(dir);
    await writeFile(join(dir, 'unsafe-simulated-root.json'), text);
    await expect(createSimulatedRoot(dir, now)).rejects.toMatchObject({ code: 'SIMULATED_FILE_MALFORMED' });
  });

  test('nothing there, or a name that is a path', async () => {
    await expect(loadSimulatedRoot(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'SIMULATED_ROOT_MISSING' });
    for (const name of ['', '../x', 'a/b', 'A', 'x'.repeat(33)])
      await expect(openSimulatedPlatform(folder, name, now)).rejects.toMatchObject({ code: 'INVALID_PLATFORM_NAME' });
  });
});

async function deviceInit(dir: string): Promise<SimulatedTdxDeviceInit> {
  const platform = await openSimulatedPlatform(dir, 'platform-0', now);
  return { ...memoryInit, platform };
}

const image = {
  mrtd: new Uint8Array(48).fill(1),
  rtmr0: new Uint8Array(48).fill(2),
  rtmr1: new Uint8Array(48).fill(3),
  rtmr2: new Uint8Array(48).fill(4),
};
const configId: Hex = `0x${'ab'.repeat(32)}`;
const memoryInit = { platform: createSimulatedPlatform(sharedRoot, { now }), image, configId, now: () => now };

describe('SimulatedTdxDevice', () => {
  test('its evidence passes a policy that allows simulated evidence, and the library', async () => {
    const device = new SimulatedTdxDevice(memoryInit);
    expect(device).toMatchObject({ kind: 'tdx', simulated: true, sealsAtRest: true, name: 'unsafe-simulated-tdx' });
    const reportData = Uint8Array.from({ length: 64 }, (_, index) => index);
    const evidence = await device.quote(reportData, { signal });
    const claims = await new EvidenceVerifier({ roots: [sharedRoot.trustRoot] }).verify(evidence, now);
    const policy = { configId, imageIds: [tdxImageId(image)], reportData: toHex(reportData) };
    expect(appraise(claims, { ...policy, unsafeAllowSimulated: true })).toEqual({ ok: true });
    expect(appraise(claims, policy)).toMatchObject({ refusal: { code: 'SIMULATED_REFUSED' } });
    expect(claims.mrConfigId).toBe(toHex(mrConfigIdOf(configId)));
    expect(oracleOf(quoteOf(evidence), evidence.collateral, now, sharedRoot.root.certificate)).toBe('UpToDate');
  });

  test('its evidence holds for who is a little behind its clock', async () => {
    const evidence = await new SimulatedTdxDevice(memoryInit).quote(new Uint8Array(64), { signal });
    const verifier = new EvidenceVerifier({ roots: [sharedRoot.trustRoot] });
    expect(await verifier.verify(evidence, now - 3600)).toMatchObject({ tcbStatus: 'UpToDate' });
  });

  test('keeps its collateral for half its lifetime', async () => {
    let time = now;
    const device = new SimulatedTdxDevice({ ...memoryInit, now: () => time, collateralLifetimeSeconds: 100 });
    const collateralAt = async (at: number): Promise<string> => {
      time = at;
      return (await device.quote(new Uint8Array(64), { signal })).collateral.tcb_info;
    };
    const first = await collateralAt(now);
    expect(await collateralAt(now + 49)).toBe(first);
    const second = await collateralAt(now + 50);
    expect(second).not.toBe(first);
    expect(JSON.parse(second)).toMatchObject({
      nextUpdate: new Date((now + 150) * 1000).toISOString().replace('.000', ''),
    });
    expect(await collateralAt(now)).not.toBe(second);
  });

  test('report data of another length, and a wait that was given up', async () => {
    const device = new SimulatedTdxDevice(memoryInit);
    await expect(device.quote(new Uint8Array(63), { signal })).rejects.toMatchObject({ code: 'INVALID_REPORT_DATA' });
    const aborted = AbortSignal.abort(new Error('given up'));
    await expect(device.quote(new Uint8Array(64), { signal: aborted })).rejects.toThrow('given up');
  });
});

describe('measureImage', () => {
  async function worker(name: string, code = 'export {};\n'): Promise<Parameters<typeof measureImage>[0]> {
    const root = join(folder, name);
    await mkdir(join(root, 'src', 'deep'), { recursive: true });
    await writeFile(join(root, 'node'), 'runtime');
    await writeFile(join(root, 'src', 'main.ts'), code);
    await writeFile(join(root, 'src', 'deep', 'é.ts'), 'x');
    await writeFile(join(root, 'src', 'empty.ts'), '');
    return {
      runtime: join(root, 'node'),
      dependencies: { root, files: ['node'] },
      code: { root, files: ['src/main.ts', 'src/deep/é.ts', 'src/empty.ts'] },
    };
  }

  test('the same twice, in another folder, in another order, with other modes', async () => {
    const files = await worker('a');
    const first = await measureImage(files, signal);
    expect(await measureImage(files, signal)).toEqual(first);
    const other = await worker('b');
    await chmod(join(folder, 'b', 'src', 'main.ts'), 0o755);
    expect(
      await measureImage({ ...other, code: { ...other.code, files: [...other.code.files].reverse() } }, signal),
    ).toEqual(first);
  });

  test('has the stated form', async () => {
    const measured = await measureImage(await worker('form', 'code'), signal);
    const digest = (text: string): Buffer => createHash('sha384').update(text).digest();
    const entry = (path: string, text: string): Buffer => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(path));
      return Buffer.concat([length, Buffer.from(path), digest(text)]);
    };
    const listed = Buffer.concat([
      entry('src/deep/é.ts', 'x'),
      entry('src/empty.ts', ''),
      entry('src/main.ts', 'code'),
    ]);
    const zero = new Uint8Array(48);
    expect(toHex(measured.mrtd)).toBe(`0x${digest('runtime').toString('hex')}`);
    expect(measured.rtmr2).toEqual(sha384(concatBytes(zero, sha384(Uint8Array.from(listed)))));
    expect(measured.rtmr1).toEqual(extendRtmr(zero, sha384(Uint8Array.from(entry('node', 'runtime')))));
    expect(measured.rtmr0).toEqual(extendRtmr(zero, sha384(utf8('DEV unsafe simulated configuration: v1'))));
    expect(measured.imageId).toBe(tdxImageId(measured));
  });

  test('one changed byte, one renamed file, one file more', async () => {
    const files = await worker('c');
    const { imageId } = await measureImage(files, signal);
    await writeFile(join(folder, 'c', 'src', 'main.ts'), 'export {}; \n');
    const changed = await measureImage(files, signal);
    await worker('c');
    await writeFile(join(folder, 'c', 'src', 'empty2.ts'), '');
    const more = await measureImage(
      { ...files, code: { ...files.code, files: [...files.code.files, 'src/empty2.ts'] } },
      signal,
    );
    const renamed = await measureImage(
      {
        ...files,
        code: {
          ...files.code,
          files: files.code.files.map((file) => (file === 'src/empty.ts' ? 'src/empty2.ts' : file)),
        },
      },
      signal,
    );
    expect(new Set([imageId, changed.imageId, more.imageId, renamed.imageId]).size).toBe(4);
  });

  test('links are followed to what they hold', async () => {
    const files = await worker('d');
    const { imageId } = await measureImage(files, signal);
    await rm(join(folder, 'd', 'src', 'main.ts'));
    await writeFile(join(folder, 'd', 'elsewhere.ts'), 'export {};\n');
    await symlink(join(folder, 'd', 'elsewhere.ts'), join(folder, 'd', 'src', 'main.ts'));
    expect((await measureImage(files, signal)).imageId).toBe(imageId);
  });

  test.each(['../x', '/etc/passwd', 'a//b', './a', 'a\\b', ''])('refuses the path "%s"', async (path) => {
    const files = await worker('e');
    await expect(measureImage({ ...files, code: { ...files.code, files: [path] } }, signal)).rejects.toMatchObject({
      code: 'INVALID_IMAGE_PATH',
    });
  });

  test('refuses a path twice, a missing file, a folder', async () => {
    const files = await worker('f');
    const of = (...paths: string[]) => measureImage({ ...files, code: { ...files.code, files: paths } }, signal);
    await expect(of('node', 'node')).rejects.toMatchObject({ code: 'INVALID_IMAGE_PATH' });
    await expect(of('missing')).rejects.toMatchObject({ code: 'IMAGE_FILE_UNREADABLE' });
    await expect(of('src')).rejects.toMatchObject({ code: 'IMAGE_FILE_UNREADABLE' });
    await expect(measureImage(files, AbortSignal.abort(new Error('given up')))).rejects.toThrow('given up');
  });
});

test('files hold no more than the devnet needs, and say what they are', async () => {
  const dir = join(folder, 'names');
  await createSimulatedRoot(dir, now);
  const text = await readFile(join(dir, 'unsafe-simulated-root.json'), 'utf8');
  const certificate = (JSON.parse(text) as { root: { certificate: string } }).root.certificate;
  expect(Buffer.from(certificate, 'base64').toString('latin1')).toContain('DEV unsafe simulated Intel SGX Root CA');
});
