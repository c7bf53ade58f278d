import { type AppBundle, bundleApp } from '@cloister/build';
import {
  type Bytes32,
  type CodeReference,
  isCodeOf,
  type Manifest,
  maxManifestBytes,
  parseManifest,
  signedReceiptFromJson,
  zeroBytes32,
} from '@cloister/core';
import { sha256, toHex } from '@cloister/crypto';
import type { CloisterClient, ProofStep } from '@cloister/sdk';

/** What a source file builds to, beside the code that a proof is about. */
export type SourceComparison = {
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
  /** Every file that went in, relative to the entry's folder. */
  readonly inputs: readonly string[];
  /** Of the manifest that the receipt names, of the sealed bytes where code is sealed; null where no code of the app ran. */
  readonly expected: CodeReference | null;
};

/**
 * Builds a source file as `deploy` does and compares it with the code that the manifest of a proof names.
 * @param proof one that `client.verify` found to hold
 * @param codeSalt what the owner of sealed code has: without it, nobody can tell what is inside
 * Throws what `bundleApp` throws, and BLOB_UNAVAILABLE where no gateway has the manifest's text.
 */
export async function compareSource(
  client: CloisterClient,
  proof: unknown,
  file: string,
  codeSalt?: Bytes32,
): Promise<{ readonly step: ProofStep; readonly source: SourceComparison }> {
  const [bundle, manifest] = await Promise.all([bundleApp(file), manifestOf(client, proof)]);
  const built = { sha256: toHex(sha256(bundle.code)), bytes: bundle.code.length };
  const source = { file, ...built, inputs: bundle.inputs, expected: manifest?.code ?? null };
  const { ok, detail } = verdict(manifest, bundle, built, codeSalt);
  return { step: { id: 'source', title: `"${file}" builds to the code that ran`, ok, detail }, source };
}

function verdict(
  manifest: Manifest | undefined,
  { kind, code }: Pick<AppBundle, 'kind' | 'code'>,
  built: { readonly sha256: string; readonly bytes: number },
  codeSalt: Bytes32 | undefined,
): { readonly ok: boolean; readonly detail: string } {
  if (manifest === undefined) return { ok: false, detail: 'the worker itself answered: no code of the app ran' };
  if (manifest.kind !== kind)
    return { ok: false, detail: `the app is of kind "${manifest.kind}", the file of kind "${kind}"` };
  const { sha256: stated, bytes, sealed } = manifest.code;
  if (sealed !== undefined && codeSalt === undefined)
    return {
      ok: false,
      detail: 'its code is sealed: only who has the salt from its owner (--code-salt) can compare it',
    };
  if (isCodeOf(manifest.code, code, codeSalt))
    return { ok: true, detail: `sha256 ${built.sha256}${sealed === undefined ? '' : `, sealed as ${sealed.digest}`}` };
  const ran =
    sealed === undefined
      ? `${stated} (${bytes}) ran`
      : `the code sealed as ${sealed.digest} ran, or the salt is another`;
  return { ok: false, detail: `it builds to sha256 ${built.sha256} (${built.bytes} bytes), ${ran}` };
}

async function manifestOf(client: CloisterClient, proof: unknown): Promise<Manifest | undefined> {
  const { receipt } = signedReceiptFromJson((proof as { readonly receipt?: unknown }).receipt);
  if (receipt.manifest === zeroBytes32) return undefined;
  return parseManifest(await client.gateways.getBlob(receipt.manifest, maxManifestBytes));
}
