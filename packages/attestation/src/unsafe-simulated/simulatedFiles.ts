import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, toHex } from '@cloister/crypto';
import { commonNameOf } from '../verify/dcap/roles.ts';
import { trustRootOfKey } from '../verify/roots.ts';
import { parseCertificate } from '../verify/x509/certificate.ts';
import { SimulatedError } from './errors.ts';
import { exportP256Key, importP256Key } from './p256Key.ts';
import { createSimulatedPlatform, type SimulatedPlatform, simulatedTcb } from './simulatedPlatform.ts';
import { type CertifiedKey, makeSimulatedRoot, type SimulatedRoot } from './simulatedRoot.ts';
import { assertPlatformName, exists, readAs, writeOnce } from './storedFile.ts';

const rootFile = 'unsafe-simulated-root.json';
const rootFormat = 'cloister-unsafe-simulated-root-1';
const platformFormat = 'cloister-unsafe-simulated-platform-1';

type StoredKey = { readonly key: string; readonly certificate: string };
type StoredRoot = {
  readonly format: string;
  readonly root: StoredKey;
  readonly pckCa: StoredKey;
  readonly tcbSigner: StoredKey;
};
type StoredPlatform = {
  readonly format: string;
  readonly pck: StoredKey;
  readonly attestationKey: string;
  readonly ppid: string;
};

/**
 * The simulated root of a folder: made fresh where there is none, else the one that is there, also when two processes come
 * at once. Files are 0600 and appear whole or not at all.
 */
export async function createSimulatedRoot(
  dir: string,
  now: number = Math.floor(Date.now() / 1000),
): Promise<SimulatedRoot> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, rootFile);
  if (!(await exists(path))) {
    const made = makeSimulatedRoot(now);
    const stored: StoredRoot = {
      format: rootFormat,
      root: storeKey(made.root),
      pckCa: storeKey(made.pckCa),
      tcbSigner: storeKey(made.tcbSigner),
    };
    await writeOnce(path, stored);
  }
  return loadSimulatedRoot(dir);
}

/** The simulated root of a folder. Throws SIMULATED_ROOT_MISSING, SIMULATED_FILE_MALFORMED. */
export async function loadSimulatedRoot(dir: string): Promise<SimulatedRoot> {
  const path = join(dir, rootFile);
  if (!(await exists(path)))
    throw new SimulatedError({
      code: 'SIMULATED_ROOT_MISSING',
      message: `Expected a simulated root at "${path}"`,
      meta: { path },
      hint: 'Start the devnet once, or name its data folder',
    });
  return readAs(path, rootFormat, (stored: StoredRoot) => {
    const root = loadKey(stored.root, commonNameOf('root', 'dev'));
    return {
      root,
      pckCa: loadKey(stored.pckCa, commonNameOf('pckCa', 'dev')),
      tcbSigner: loadKey(stored.tcbSigner, commonNameOf('tcbSigning', 'dev')),
      trustRoot: { ...trustRootOfKey(root.key.publicKey), name: root.commonName },
    };
  });
}

/**
 * The simulated platform of that name below the root of a folder: made where there is none. One name is one machine;
 * several workers may share it. Throws INVALID_PLATFORM_NAME and what `loadSimulatedRoot` throws.
 */
export async function openSimulatedPlatform(
  dir: string,
  name: string,
  now: number = Math.floor(Date.now() / 1000),
): Promise<SimulatedPlatform> {
  assertPlatformName(name);
  const root = await loadSimulatedRoot(dir);
  const path = join(dir, `unsafe-simulated-platform-${name}.json`);
  if (!(await exists(path))) {
    const made = createSimulatedPlatform(root, { now });
    const stored: StoredPlatform = {
      format: platformFormat,
      pck: storeKey(made.pck),
      attestationKey: exportP256Key(made.attestationKey),
      ppid: toHex(made.tcb.ppid),
    };
    await writeOnce(path, stored);
  }
  return readAs(path, platformFormat, (stored: StoredPlatform) => ({
    root,
    pck: loadKey(stored.pck, commonNameOf('pck', 'dev')),
    attestationKey: importP256Key(stored.attestationKey),
    tcb: { ...simulatedTcb, ppid: fromHex(stored.ppid) },
  }));
}

function storeKey(certified: CertifiedKey): StoredKey {
  return { key: exportP256Key(certified.key), certificate: Buffer.from(certified.certificate).toString('base64') };
}

function loadKey(stored: StoredKey, commonName: string): CertifiedKey {
  const certificate = Uint8Array.from(Buffer.from(stored.certificate, 'base64'));
  const parsed = parseCertificate(certificate, 'stored certificate');
  if (parsed.commonName !== commonName) throw new Error(`the certificate is for "${parsed.commonName}"`);
  return { key: importP256Key(stored.key), commonName, certificate, serial: fromHex(parsed.serial) };
}
