import { type Bytes32, canonicalJson, dstackImageId, dstackMrConfigId, type Hex, readMrConfigId } from '@cloister/core';
import { fromHex, sha256, toHex, utf8 } from '@cloister/crypto';
import type { DstackOs } from './imageOptions.ts';
import { ScriptError } from './scriptError.ts';

export type DstackAppInit = {
  /** `NAME@sha256:…` */
  readonly image: string;
  readonly networkId: Bytes32;
  /** The dstack key service that this CVM takes keys from: its root public key, hexadecimal without 0x. Undefined: any. */
  readonly kmsId: string | undefined;
};

export type DstackApp = {
  /** Every byte of the file that dstack measures: it must be deployed as it is. */
  readonly appCompose: string;
  /** The app's name in it: of the first names that there are, the one whose compose hash can be told from a network file's id. */
  readonly name: string;
  /** SHA-256 of `appCompose`: the payload of the event "compose-hash" in RTMR3, and the `configId` of such a worker. */
  readonly composeHash: Bytes32;
  /** What the quote of such a guest states beside the registers. */
  readonly mrConfigId: Hex;
};

/**
 * The app-compose.json of a worker in a dstack CVM. dstack hashes the file's raw bytes; they are in the canonical form that its
 * SDK hashes (sorted keys, no white space; for text, numbers, truth values and lists that is RFC 8785), so that both agree.
 * @param composeFile text with `{{image}}` and `{{network}}` where the image's name and the network file's id go
 */
export function dstackApp(composeFile: string, { image, networkId, kmsId }: DstackAppInit): DstackApp {
  if (!/^[a-z0-9][a-z0-9._:/-]{0,254}@sha256:[0-9a-f]{64}$/.test(image))
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `Expected the name of an image in a registry, like registry.example/cloister-worker, got "${image.slice(0, 300)}"`,
    });
  const values = { '{{image}}': image, '{{network}}': networkId };
  const missing = Object.keys(values).find((place) => !composeFile.includes(place));
  if (missing !== undefined)
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `The compose file has no place for "${missing}"`,
      hint: 'Start from image/docker-compose.yml',
    });
  const compose = Object.entries(values).reduce((text, [place, value]) => text.replaceAll(place, value), composeFile);
  for (let number = 1; ; number++) {
    const name = number === 1 ? 'cloister-worker' : `cloister-worker-${number}`;
    const appCompose = appComposeOf(name, compose, kmsId);
    const composeHash = toHex(sha256(utf8(appCompose)));
    const mrConfigId = dstackMrConfigId(composeHash);
    // One hash in 256 ends in a zero byte, and such a MRCONFIGID reads as a network file's id.
    if (readMrConfigId(mrConfigId)?.composeHash === composeHash)
      return { appCompose, name, composeHash, mrConfigId: toHex(mrConfigId) };
  }
}

/** The image id of a worker in such a CVM. `os` are the registers of dstack's own image. */
export function dstackImageIdOf(os: DstackOs, composeHash: Bytes32): Bytes32 {
  const register = (name: keyof DstackOs) => fromHex(os[name] as Hex);
  const image = {
    mrtd: register('mrtd'),
    rtmr0: register('rtmr0'),
    rtmr1: register('rtmr1'),
    rtmr2: register('rtmr2'),
  };
  return dstackImageId(image, composeHash);
}

function appComposeOf(name: string, compose: string, kmsId: string | undefined): string {
  return canonicalJson({
    // The one value that may come from outside. Anything else there would be code that nobody measured.
    allowed_envs: ['OPERATOR_KEY'],
    docker_compose_file: compose,
    gateway_enabled: false,
    // Needed for encrypted values from outside; the worker takes no key from it.
    key_provider: 'kms',
    // It also has the key of the CVM's disk, on which the image lies: whoever runs it could change the image there. Without an id
    // the host chooses who that is.
    ...(kmsId === undefined ? {} : { key_provider_id: kmsId }),
    kms_enabled: true,
    local_key_provider_enabled: false,
    manifest_version: 2,
    name,
    no_instance_id: false,
    public_logs: false,
    public_sysinfo: false,
    public_tcbinfo: true,
    runner: 'docker-compose',
    secure_time: false,
  });
}
