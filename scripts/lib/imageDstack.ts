import { type Bytes32, canonicalJson, type Hex } from '@cloister/core';
import { concatBytes, fromHex, sha256, toHex, utf8 } from '@cloister/crypto';
import { ScriptError } from './scriptError.ts';

export type DstackApp = {
  /** Every byte of the file that dstack measures: it must be deployed as it is. */
  readonly appCompose: string;
  /** SHA-256 of `appCompose`: the payload of the event "compose-hash" in RTMR3. */
  readonly composeHash: Bytes32;
  /** What the quote of such a guest states beside the registers. */
  readonly mrConfigId: Hex;
};

/**
 * The app-compose.json of a worker in a dstack CVM. dstack hashes the file's raw bytes; they are in the canonical form that its
 * SDK hashes (sorted keys, no white space; for text, numbers, truth values and lists that is RFC 8785), so that both agree.
 * @param composeFile text with `{{image}}` where the image's name goes
 * @param image `NAME@sha256:…`
 */
export function dstackApp(composeFile: string, image: string): DstackApp {
  if (!/^[a-z0-9][a-z0-9._:/-]{0,254}@sha256:[0-9a-f]{64}$/.test(image))
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `Expected the name of an image in a registry, like registry.example/cloister-worker, got "${image.slice(0, 300)}"`,
    });
  const compose = composeFile.replaceAll('{{image}}', image);
  if (compose === composeFile)
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: 'The compose file has no place for the image: write {{image}} there',
    });
  const appCompose = canonicalJson({
    // The one value that may come from outside. Anything else there would be code that nobody measured.
    allowed_envs: ['OPERATOR_KEY'],
    docker_compose_file: compose,
    gateway_enabled: false,
    // Needed for encrypted values from outside; the worker takes no key from it.
    key_provider: 'kms',
    kms_enabled: true,
    local_key_provider_enabled: false,
    manifest_version: 2,
    name: 'cloister-worker',
    no_instance_id: false,
    public_logs: false,
    public_sysinfo: false,
    public_tcbinfo: true,
    runner: 'docker-compose',
    secure_time: false,
  });
  const composeHash = toHex(sha256(utf8(appCompose)));
  return { appCompose, composeHash, mrConfigId: dstackMrConfigId(composeHash) };
}

/**
 * MRCONFIGID of a dstack guest, version 0.5.1 and later: the version 1, the compose hash, 15 zero bytes. The host sets it, and the
 * guest ends where the app-compose.json that it was given has another hash. Older ones leave it zero.
 */
export function dstackMrConfigId(composeHash: Bytes32): Hex {
  return toHex(concatBytes(Uint8Array.of(1), fromHex(composeHash), new Uint8Array(15)));
}
