import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, toHex } from '@cloister/crypto';
import { SimulatedError } from './errors.ts';
import {
  type CertifiedAnyKey,
  makeSimulatedChip,
  makeSimulatedSnpRoot,
  type SimulatedChip,
  type SimulatedSnpRoot,
  snpRootOf,
} from './simulatedChip.ts';
import { assertPlatformName, exists, readAs, writeOnce } from './storedFile.ts';
import type { AnyKey } from './vendorCertificate.ts';

const rootFile = 'unsafe-simulated-snp-root.json';
const rootFormat = 'cloister-unsafe-simulated-snp-root-1';
const chipFormat = 'cloister-unsafe-simulated-chip-1';

/** PKCS #8 in PEM, and base64 of DER. */
type StoredKey = { readonly key: string; readonly certificate: string };
type StoredRoot = { readonly format: string; readonly ark: StoredKey; readonly ask: StoredKey };
type StoredChip = { readonly format: string; readonly vcek: StoredKey; readonly chipId: string };

/** The simulated AMD of a folder: made fresh where there is none, else the one that is there. */
export async function createSimulatedSnpRoot(
  dir: string,
  now: number = Math.floor(Date.now() / 1000),
): Promise<SimulatedSnpRoot> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, rootFile);
  if (!(await exists(path))) {
    const { ark, ask } = makeSimulatedSnpRoot(now);
    const stored: StoredRoot = { format: rootFormat, ark: storeKey(ark), ask: storeKey(ask) };
    await writeOnce(path, stored);
  }
  return loadSimulatedSnpRoot(dir);
}

/** Throws SIMULATED_ROOT_MISSING, SIMULATED_FILE_MALFORMED. */
export async function loadSimulatedSnpRoot(dir: string): Promise<SimulatedSnpRoot> {
  const path = join(dir, rootFile);
  if (!(await exists(path)))
    throw new SimulatedError({
      code: 'SIMULATED_ROOT_MISSING',
      message: `Expected a simulated root of SEV-SNP at "${path}"`,
      meta: { path },
      hint: 'Start the devnet once, or name its data folder',
    });
  return readAs(path, rootFormat, ({ ark, ask }: StoredRoot) => snpRootOf(loadKey(ark, 'rsa'), loadKey(ask, 'rsa')));
}

/**
 * The simulated chip of that name below the root of a folder: made where there is none. One name is one machine.
 * Throws INVALID_PLATFORM_NAME and what `loadSimulatedSnpRoot` throws.
 */
export async function openSimulatedChip(
  dir: string,
  name: string,
  now: number = Math.floor(Date.now() / 1000),
): Promise<SimulatedChip> {
  assertPlatformName(name);
  const root = await loadSimulatedSnpRoot(dir);
  const path = join(dir, `unsafe-simulated-chip-${name}.json`);
  if (!(await exists(path))) {
    const { vcek, chipId } = makeSimulatedChip(root, now);
    const stored: StoredChip = { format: chipFormat, vcek: storeKey(vcek), chipId: toHex(chipId) };
    await writeOnce(path, stored);
  }
  return readAs(path, chipFormat, ({ vcek, chipId }: StoredChip) => ({
    root,
    vcek: loadKey(vcek, 'p384'),
    chipId: fromHex(chipId),
  }));
}

function storeKey({ key, certificate }: CertifiedAnyKey): StoredKey {
  return {
    key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    certificate: Buffer.from(certificate).toString('base64'),
  };
}

function loadKey(stored: StoredKey, kind: AnyKey['kind']): CertifiedAnyKey {
  const privateKey = createPrivateKey(stored.key);
  const spki = Uint8Array.from(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }));
  return { key: { kind, privateKey, spki }, certificate: Uint8Array.from(Buffer.from(stored.certificate, 'base64')) };
}
