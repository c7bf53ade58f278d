import {
  type Bytes32,
  enforcedFields,
  freePrice,
  functionManifest,
  type Manifest,
  manifestBytes,
  manifestId,
} from '@cloister/core';
import { sha256, toHex, utf8 } from '@cloister/crypto';
import type { GuestAgent } from '@cloister/guest';
import { SandboxError } from '@cloister/sandbox';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SimulatedNetwork } from '../../../packages/sdk/test/simulatedNetwork.ts';
import { AppLoader, type AppLoaderComponents, type AppLoaderInit } from '../src/appLoader.ts';
import { AppRefusedError } from '../src/appRefusedError.ts';
import { StubDriver } from './stubDriver.ts';
import { noGuests, noSecrets } from './workerParts.ts';

let network: SimulatedNetwork;
let driver: StubDriver;
let fetched: Bytes32[];
const signal = new AbortController().signal;

beforeEach(async () => {
  network = await SimulatedNetwork.start();
  driver = new StubDriver();
  fetched = [];
});
afterEach(async () => {
  vi.useRealTimers();
  await network.stop();
});

function loader(
  init?: AppLoaderInit,
  secrets: AppLoaderComponents['secrets'] = noSecrets,
  guests: AppLoaderComponents['guests'] = noGuests,
) {
  const components = {
    registry: network.reader(),
    drivers: [driver],
    secrets,
    guests,
    blobs: async (id: Bytes32, maxBytes: number) => {
      fetched.push(id);
      const bytes = network.gateway.blobs.get(id);
      if (bytes === undefined || bytes.length > maxBytes) throw new Error(`No blob ${id}`);
      return bytes;
    },
  };
  return new AppLoader(components, init);
}

function sample(changes: Partial<Manifest> = {}, code = utf8('export default {}')) {
  network.gateway.store(code);
  return network.addApp({ code: { sha256: toHex(sha256(code)), bytes: code.length }, ...changes } as object);
}

/** Another version of the app, serving at once. */
function publish(app: Bytes32, manifest: Manifest): Bytes32 {
  network.gateway.store(manifestBytes(manifest));
  const version = { manifestId: manifestId(manifest), fields: enforcedFields(manifest), effectiveAt: 0n };
  network.registries.apps.get(app)?.versions.push(version);
  return version.manifestId;
}

describe('loading', () => {
  test('opens the serving version with what its manifest allows', async () => {
    const { app, manifest } = sample({ env: { A: 'b' }, outbound: ['api.example'] });
    const loaded = await loader().load(app, signal);
    expect(loaded).toMatchObject({ app, manifestId: manifestId(manifest), manifest, keyVersion: 1n });
    expect(driver.tenants[0]?.workload).toMatchObject({
      tenant: app,
      version: manifestId(manifest),
      kind: 'function',
      code: utf8('export default {}'),
      env: { A: 'b' },
      outboundHosts: ['api.example'],
      limits: manifest.limits,
      compatibilityDate: manifest.runtime.compatibilityDate,
    });
  });

  test('opens a module in the driver of its kind, with what its manifest says of it', async () => {
    const modules = new StubDriver('wasm');
    const blobs = async (id: Bytes32) => network.gateway.blobs.get(id) ?? new Uint8Array();
    const parts = { registry: network.reader(), secrets: noSecrets, guests: noGuests };
    const apps = new AppLoader({ ...parts, drivers: [driver, modules], blobs });
    const runtime = { name: 'wasi-preview1', compatibilityDate: '2026-11-01' };
    const limits = { memoryBytes: 2 ** 25, wallMs: 100, cpuMs: 100, outputBytes: 9, maxConcurrent: 1, fuel: 77 };
    const determinism = 'deterministic' as const;
    const { app } = sample({ kind: 'wasm', runtime, limits, determinism } as never);
    await apps.load(app, signal);
    expect(driver.counts.opened).toBe(0);
    expect(modules.tenants[0]?.workload).toMatchObject({ kind: 'wasm', deterministic: true, limits });
  });

  test('calls that come at once open it once', async () => {
    const { app } = sample();
    const apps = loader();
    const loaded = await Promise.all(Array.from({ length: 10 }, () => apps.load(app, signal)));
    expect(new Set(loaded.map(({ tenant }) => tenant)).size).toBe(1);
    expect(driver.counts).toEqual({ opened: 1, open: 1 });
    expect(fetched).toHaveLength(2);
  });

  test('the chain is asked again only after a while', async () => {
    const { app } = sample();
    const apps = loader({ maxTenants: 4, recheckMs: 1_000 });
    await apps.load(app, signal);
    const asked = network.rpc.asks('eth_call');
    await apps.load(app, signal);
    expect(network.rpc.asks('eth_call')).toBe(asked);
    vi.useFakeTimers({ now: Date.now() + 1_000, toFake: ['Date'] });
    await apps.load(app, signal);
    expect(network.rpc.asks('eth_call')).toBe(asked + 1);
    await apps.load(app, signal);
    expect(network.rpc.asks('eth_call')).toBe(asked + 1);
    expect(driver.counts).toEqual({ opened: 1, open: 1 });
  });

  test('a guest agent goes with its instance: another version has another one, and the old one is closed', async () => {
    const closed: number[] = [];
    const guests = {
      open: async ({ manifest: { env } }: { readonly manifest: Pick<Manifest, 'env'> }) =>
        ({ close: () => closed.push(Number(env.N)) }) as unknown as GuestAgent,
    };
    const { app, manifest } = sample({ env: { N: '1' } });
    const apps = loader({ maxTenants: 4, recheckMs: 0, drainMs: 0 }, noSecrets, guests);
    const first = await apps.load(app, signal);
    expect(first.guest).toBeDefined();
    publish(app, { ...manifest, env: { N: '2' } });
    expect((await apps.load(app, signal)).guest).not.toBe(first.guest);
    await vi.waitFor(() => expect(closed).toEqual([1]));
  });

  test('an app that does not open leaves no guest agent behind', async () => {
    const close = vi.fn();
    const { app } = sample();
    driver.open = () => Promise.reject(new Error('no process'));
    const apps = loader(undefined, noSecrets, { open: async () => ({ close }) as unknown as GuestAgent });
    await expect(apps.load(app, signal)).rejects.toThrow('no process');
    expect(close).toHaveBeenCalledOnce();
  });

  test("one app never gets another one's tenant", async () => {
    const [one, two] = [sample(), sample({ name: 'two' })];
    const apps = loader();
    const loaded = await Promise.all([apps.load(one.app, signal), apps.load(two.app, signal)]);
    expect(loaded.map(({ tenant }) => tenant)).toEqual(driver.tenants);
    expect(driver.tenants.map(({ workload }) => workload.tenant).sort()).toEqual([one.app, two.app].sort());
  });
});

describe('a new version', () => {
  test('takes the place of the old one, which is closed', async () => {
    const { app, manifest } = sample();
    const apps = loader({ maxTenants: 4, recheckMs: 0, drainMs: 0 });
    const before = await apps.load(app, signal);
    const id = publish(app, { ...manifest, env: { NEW: '1' } });
    const after = await apps.load(app, signal);
    expect(after.manifestId).toBe(id);
    expect(after.tenant).not.toBe(before.tenant);
    await vi.waitFor(() => expect(driver.tenants.map(({ closed }) => closed)).toEqual([true, false]));
  });

  test('lets the old one finish the calls that it has', async () => {
    const { app, manifest } = sample();
    const apps = loader({ maxTenants: 4, recheckMs: 0, drainMs: 60_000 });
    await apps.load(app, signal);
    publish(app, { ...manifest, env: { NEW: '1' } });
    await apps.load(app, signal);
    expect(driver.tenants.map(({ closed }) => closed)).toEqual([false, false]);
  });

  test('is opened once, however many calls find it out at the same time', async () => {
    const { app, manifest } = sample();
    const apps = loader({ maxTenants: 4, recheckMs: 0, drainMs: 0 });
    await apps.load(app, signal);
    const id = publish(app, { ...manifest, env: { NEW: '1' } });
    const loaded = await Promise.all(Array.from({ length: 10 }, () => apps.load(app, signal)));
    expect(loaded.every(({ manifestId: serving }) => serving === id)).toBe(true);
    await vi.waitFor(() => expect(driver.counts).toEqual({ opened: 2, open: 1 }));
  });

  test('is waited for while the chain is away: nothing runs on a version that may have been replaced', async () => {
    const { app } = sample();
    const registry = network.reader();
    const apps = new AppLoader(
      {
        registry,
        drivers: [driver],
        secrets: noSecrets,
        guests: noGuests,
        blobs: async (id) => network.gateway.blobs.get(id) ?? new Uint8Array(),
      },
      { maxTenants: 4, recheckMs: 0, drainMs: 0 },
    );
    const before = await apps.load(app, signal);
    const away = vi.spyOn(registry, 'currentApp').mockRejectedValue(new Error('away'));
    for (const _attempt of [1, 2, 3]) await expect(apps.load(app, signal)).rejects.toThrow('away');
    away.mockRestore();
    expect((await apps.load(app, signal)).tenant).toBe(before.tenant);
  });

  test('is looked for at once when the caller expects another than we have', async () => {
    const { app, manifest } = sample();
    const apps = loader({ maxTenants: 4, recheckMs: 60_000 });
    const before = await apps.load(app, signal);
    expect((await apps.load(app, signal, before.manifestId)).manifestId).toBe(before.manifestId);
    const id = publish(app, { ...manifest, env: { NEW: '1' } });
    expect((await apps.load(app, signal, before.manifestId)).manifestId).toBe(before.manifestId);
    expect((await apps.load(app, signal, id)).manifestId).toBe(id);
  });

  test('a caller who expects something else for ever gets what serves', async () => {
    const { app, manifest } = sample();
    const apps = loader();
    await apps.load(app, signal, `0x${'99'.repeat(32)}`);
    expect((await apps.load(app, signal, `0x${'99'.repeat(32)}`)).manifestId).toBe(manifestId(manifest));
    expect(driver.counts).toEqual({ opened: 1, open: 1 });
  });
});

describe('what can not be run', () => {
  const refuses = async (app: Bytes32, code: string) => {
    const apps = loader();
    await expect(apps.load(app, signal)).rejects.toMatchObject({ name: 'AppRefusedError', code });
    expect(driver.counts.open).toBe(0);
  };

  test('an app that the chain does not know', () => refuses(`0x${'12'.repeat(32)}`, 'APP_UNKNOWN'));

  test('a manifest that is none, or not in its one form', async () => {
    const { app, manifest } = sample();
    for (const text of ['{}', JSON.stringify(manifest), JSON.stringify({ ...manifest, more: 1 })]) {
      const id = network.gateway.store(utf8(text));
      const [version] = network.registries.apps.get(app)?.versions ?? [];
      Object.assign(version ?? {}, { manifestId: id });
      await refuses(app, 'APP_MANIFEST_INVALID');
    }
  });

  test('fields that differ from what the contract enforces', async () => {
    const { app } = sample();
    Object.assign(network.registries.apps.get(app)?.versions[0]?.fields ?? {}, { replicas: 7 });
    await refuses(app, 'APP_FIELDS_DIFFER');
  });

  test.each<[string, Partial<Manifest>]>([
    ['schedules that nobody pays for', { schedules: [{ cron: '* * * * *' }], price: { ...freePrice, perCall: '1' } }],
    ['its own image policy', { imagePolicy: 'both' }],
  ])('what would silently be left out: %s', async (_, changes) => {
    await refuses(sample(changes).app, 'APP_FEATURE_UNAVAILABLE');
  });

  test('a kind that it has no driver for', async () => {
    const runtime = { name: 'wasi-preview1', compatibilityDate: '2026-11-01' };
    await refuses(sample({ kind: 'wasm', runtime } as never).app, 'APP_FEATURE_UNAVAILABLE');
    expect(driver.counts.opened).toBe(0);
  });

  test('code of another length than the manifest says', async () => {
    const code = utf8('export default {}');
    const { app } = sample({ code: { sha256: toHex(sha256(code)), bytes: code.length + 1 } });
    await refuses(app, 'APP_CODE_MISMATCH');
  });

  test('nothing of a failure is remembered', async () => {
    const { app, manifest } = sample();
    const apps = loader();
    const id = manifestId(manifest);
    const stored = network.gateway.blobs.get(id) ?? expect.fail();
    network.gateway.blobs.delete(id);
    await expect(apps.load(app, signal)).rejects.toThrow('No blob');
    await expect(apps.load(app, signal)).rejects.toThrow('No blob');
    network.gateway.blobs.set(id, stored);
    driver.opening = () => {
      throw new Error('no memory');
    };
    await expect(apps.load(app, signal)).rejects.toThrow('no memory');
    driver.opening = () => {};
    expect((await apps.load(app, signal)).app).toBe(app);
  });

  test('a chain that is away is no word about the app', async () => {
    network.rpc.intercept = () => {
      throw new Error('away');
    };
    await expect(loader().load(sample().app, signal)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
  });
});

describe('room', () => {
  test('is made by closing what was used longest ago', async () => {
    const apps = loader({ maxTenants: 2, recheckMs: 60_000, drainMs: 0 });
    const [one, two, three] = ['one', 'two', 'three'].map((name) => sample({ name }).app) as [
      Bytes32,
      Bytes32,
      Bytes32,
    ];
    vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ['Date'] });
    for (const app of [one, two, one, three]) {
      vi.setSystemTime(Date.now() + 10);
      await apps.load(app, signal);
    }
    await vi.waitFor(() => expect(driver.counts).toEqual({ opened: 3, open: 2 }));
    expect(driver.tenants.find(({ closed }) => closed)?.workload.tenant).toBe(two);
    expect(await apps.loaded(two)).toBeUndefined();
    expect((await apps.loaded(one))?.app).toBe(one);
  });

  describe('where all memory is promised', () => {
    const full = (retry = true) => new SandboxError({ code: 'SANDBOX_FULL', message: 'full', retry });
    /** A sandbox with room for so many. */
    const roomFor = (count: number) => {
      driver.opening = () => {
        if (driver.counts.open <= count) return;
        driver.tenants.pop();
        throw full();
      };
    };

    test('is made by what nobody can be using any more, and by nothing else', async () => {
      const apps = loader({ maxTenants: 64, recheckMs: 3_600_000 });
      roomFor(2);
      const limits = { memoryBytes: 2 ** 27, wallMs: 1_000, cpuMs: 1_000, outputBytes: 9, maxConcurrent: 1 };
      const [one, two, three] = ['one', 'two', 'three'].map((name) => sample({ name, limits }).app) as [
        Bytes32,
        Bytes32,
        Bytes32,
      ];
      vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ['Date'] });
      await apps.load(one, signal);
      vi.setSystemTime(Date.now() + 10_000);
      await apps.load(two, signal);
      // A call of the first app may still run: nobody is hurt for a newcomer.
      await expect(apps.load(three, signal)).rejects.toMatchObject({ code: 'SANDBOX_FULL', retry: true });
      expect(driver.tenants.map(({ closed }) => closed)).toEqual([false, false]);
      vi.setSystemTime(Date.now() + 6_001);
      expect((await apps.load(three, signal)).app).toBe(three);
      expect(driver.tenants.filter(({ closed }) => closed).map(({ workload }) => workload.tenant)).toEqual([one]);
    });

    test('is not made for what never fits', async () => {
      const apps = loader();
      const { app } = sample({ name: 'one' });
      await apps.load(app, signal);
      vi.useFakeTimers({ now: Date.now() + 3_600_000, toFake: ['Date'] });
      driver.opening = () => {
        throw full(false);
      };
      await expect(apps.load(sample({ name: 'large' }).app, signal)).rejects.toMatchObject({ code: 'SANDBOX_FULL' });
      expect(driver.tenants[0]?.closed).toBe(false);
    });
  });

  test('one that is still loading is closed when it is there', async () => {
    const apps = loader({ maxTenants: 1, recheckMs: 60_000, drainMs: 0 });
    const [one, two] = [sample({ name: 'one' }).app, sample({ name: 'two' }).app];
    let open: () => void = () => {};
    driver.opening = () => new Promise<void>((resolve) => (open = resolve));
    const first = apps.load(one, signal);
    await vi.waitFor(() => expect(driver.tenants).toHaveLength(1));
    driver.opening = () => {};
    await apps.load(two, signal);
    open();
    await first;
    await vi.waitFor(() => expect(driver.tenants.map(({ closed }) => closed)).toEqual([true, false]));
  });

  test('an app that is not loaded, or could not be, is not there', async () => {
    const apps = loader();
    expect(await apps.loaded(`0x${'12'.repeat(32)}`)).toBeUndefined();
    const failing = apps.load(`0x${'12'.repeat(32)}`, signal);
    expect(await apps.loaded(`0x${'12'.repeat(32)}`)).toBeUndefined();
    await expect(failing).rejects.toThrow();
  });
});

test("a function's defaults are what this release can run", () => {
  const manifest = functionManifest({ name: 'x', code: { sha256: `0x${'00'.repeat(32)}`, bytes: 1 } });
  expect(enforcedFields(manifest)).toMatchObject({ kind: 0, imagePolicy: 0, stateful: false });
});

describe('an app with secrets', () => {
  const withSecrets = { secrets: ['KEY'], imagePolicy: 'both' } as const;
  /** Placed here, with a bundle; both as the test wants them. */
  function world() {
    const state = { placed: true, bundleId: `0x${'b1'.repeat(32)}` as Bytes32, opened: 0 };
    const secrets: AppLoaderComponents['secrets'] = {
      assertPlaced: async () => {
        if (!state.placed) throw new AppRefusedError('APP_NOT_PLACED', 'elsewhere');
      },
      anchored: async () => state.bundleId,
      open: async () => {
        state.opened += 1;
        return { bundleId: state.bundleId, values: { KEY: `value ${state.opened}` } };
      },
      code: () => Promise.reject(new Error('No sealed code in this test')),
    };
    return { state, secrets };
  }

  test('runs with the values that its manifest names, beside its constants', async () => {
    const { secrets } = world();
    const { app } = sample({ ...withSecrets, env: { A: 'b' } });
    await loader(undefined, secrets).load(app, signal);
    expect(driver.tenants[0]?.workload.env).toEqual({ A: 'b', KEY: 'value 1' });
  });

  test('is not opened where it is not placed, and its code is not even fetched', async () => {
    const { state, secrets } = world();
    state.placed = false;
    const { app, manifest } = sample(withSecrets);
    await expect(loader(undefined, secrets).load(app, signal)).rejects.toMatchObject({ code: 'APP_NOT_PLACED' });
    expect(state.opened).toBe(0);
    expect(fetched).toEqual([manifestId(manifest)]);
  });

  test('is closed and refused once it is placed elsewhere', async () => {
    const { state, secrets } = world();
    const { app } = sample(withSecrets);
    const apps = loader({ maxTenants: 4, recheckMs: 0, drainMs: 0 }, secrets);
    await apps.load(app, signal);
    state.placed = false;
    await expect(apps.load(app, signal)).rejects.toMatchObject({ code: 'APP_NOT_PLACED' });
    await vi.waitFor(() => expect(driver.counts).toEqual({ opened: 1, open: 0 }));
  });

  test('is opened anew with the values that its owner has set since', async () => {
    const { state, secrets } = world();
    const { app } = sample(withSecrets);
    const apps = loader({ maxTenants: 4, recheckMs: 0, drainMs: 0 }, secrets);
    const before = await apps.load(app, signal);
    expect(await apps.load(app, signal)).toBe(before);
    state.bundleId = `0x${'b2'.repeat(32)}`;
    await apps.load(app, signal);
    expect(driver.tenants.at(-1)?.workload.env).toEqual({ KEY: 'value 2' });
    await vi.waitFor(() => expect(driver.counts).toEqual({ opened: 2, open: 1 }));
  });

  test('goes on when the placement can not be read only until the next look at the chain', async () => {
    const { state, secrets } = world();
    const { app } = sample(withSecrets);
    const apps = loader(
      { maxTenants: 4, recheckMs: 0, drainMs: 0 },
      {
        ...secrets,
        assertPlaced: () => (state.placed ? Promise.resolve() : Promise.reject(new Error('away'))),
      },
    );
    await apps.load(app, signal);
    state.placed = false;
    await expect(apps.load(app, signal)).rejects.toThrow('away');
    state.placed = true;
    await apps.load(app, signal);
    expect(driver.counts).toEqual({ opened: 1, open: 1 });
  });
});

describe('an app with sealed code', () => {
  const stored = utf8('sealed bytes');
  const reference = {
    sha256: toHex(sha256(stored)),
    bytes: stored.length,
    sealed: { digest: `0x${'d1'.repeat(32)}`, keyVersion: 1 },
  } as const;
  /** Placed here, and opened as the test wants it; it has no secrets, so none are asked for. */
  function world() {
    const state = { placed: true, opened: 0 };
    const secrets: AppLoaderComponents['secrets'] = {
      ...noSecrets,
      assertPlaced: async () => {
        if (!state.placed) throw new AppRefusedError('APP_NOT_PLACED', 'elsewhere');
      },
      code: async ({ manifest }, bytes) => {
        expect([manifest.code, bytes]).toEqual([reference, stored]);
        state.opened += 1;
        return utf8(`export default {} // ${state.opened}`);
      },
    };
    return { state, secrets };
  }
  const sealed = () => sample({ code: reference, imagePolicy: 'both' }, stored);

  test('runs what was inside', async () => {
    const { secrets } = world();
    const { app } = sealed();
    const apps = loader({ maxTenants: 4, recheckMs: 0, drainMs: 0 }, secrets);
    const loaded = await apps.load(app, signal);
    expect(driver.tenants[0]?.workload).toMatchObject({ code: utf8('export default {} // 1'), env: {} });
    expect(loaded.secretsId).toBeUndefined();
    // Looked at again, it is the same: no secrets are anchored, and none are asked for.
    expect(await apps.load(app, signal)).toBe(loaded);
  });

  test('is neither fetched nor opened where it is not placed', async () => {
    const { state, secrets } = world();
    state.placed = false;
    const { app, manifest } = sealed();
    await expect(loader(undefined, secrets).load(app, signal)).rejects.toMatchObject({ code: 'APP_NOT_PLACED' });
    expect([state.opened, fetched]).toEqual([0, [manifestId(manifest)]]);
  });

  test('is closed once it is placed elsewhere, or its keys are over', async () => {
    const { state, secrets } = world();
    const apps = loader({ maxTenants: 4, recheckMs: 0, drainMs: 0 }, secrets);
    const [first, second] = [sealed(), sealed()];
    await apps.load(first.app, signal);
    await apps.load(second.app, signal);
    state.placed = false;
    await expect(apps.load(first.app, signal)).rejects.toMatchObject({ code: 'APP_NOT_PLACED' });
    state.placed = true;
    const fields = network.registries.apps.get(second.app)?.versions[0]?.fields;
    Object.assign(fields ?? {}, { keyVersion: 2, minKeyVersion: 2 });
    await expect(apps.load(second.app, signal)).rejects.toMatchObject({ code: 'APP_CODE_VERSION_OUTSIDE' });
    expect(state.opened).toBe(2);
    await vi.waitFor(() => expect(driver.counts).toEqual({ opened: 2, open: 0 }));
  });

  test('of another length than its manifest says is refused before it is opened', async () => {
    const { state, secrets } = world();
    const { app } = sample({ code: { ...reference, bytes: stored.length + 1 }, imagePolicy: 'both' }, stored);
    await expect(loader(undefined, secrets).load(app, signal)).rejects.toMatchObject({ code: 'APP_CODE_MISMATCH' });
    expect(state.opened).toBe(0);
  });
});
