import { concatBytes, utf8 } from '@cloister/crypto';
import { CloisterError } from '../errors.ts';
import type { KeyClass } from './keyIdentity.ts';

/**
 * Everything that is made from a key of the committee, and the class of key that it is made from. A purpose stands here once and
 * keeps its meaning for ever: what is derived for one says nothing of what is derived for another, nor of the key itself.
 */
export const keyPurposes = {
  /** Code that only its hosts can read, named by the function or container that it is of. */
  'sealed-code': 'secrets',
  /** Keys of an app's own, named by the function that asks for them; `guest` is the root of those that its guest agent gives. */
  'function-key': 'signing',
  /** The same, named by the container. */
  'container-key': 'signing',
  /** What a partition of an app's state is encrypted under, named by the partition. */
  'state-partition': 'state',
  /** The salt by which all workers of a job commit to equal answers alike, named by the output. */
  'output-salt': 'job',
  /** The account of a function on a chain, named by the chain's id in decimal. */
  'chain-account': 'signing',
} as const satisfies Record<string, KeyClass>;

export type KeyPurpose = keyof typeof keyPurposes;

/** The purposes of keys of one class: asking for another one is an error of types. */
export type KeyPurposeOf<Class extends KeyClass> = {
  [Purpose in KeyPurpose]: (typeof keyPurposes)[Purpose] extends Class ? Purpose : never;
}[KeyPurpose];

/** What one derived key is for. */
export type KeyUse<Purpose extends KeyPurpose = KeyPurpose> = {
  readonly purpose: Purpose;
  /** The function, container, partition, output: 1 to 255 bytes of UTF-8. */
  readonly name: string;
  /** From 1; another version is another key. */
  readonly version: number;
};

const maxNameBytes = 255;
const maxVersion = 0xffff_ffff;

/**
 * A use as bytes, for HKDF's info and as associated data of what is sealed for it: purpose, name and version in decimal, each with
 * its length before it (two bytes, big-endian). No use's bytes begin with another's. Throws KEY_PURPOSE_UNKNOWN, KEY_NAME_INVALID,
 * KEY_USE_VERSION_INVALID.
 */
export function keyUseInfo({ purpose, name, version }: KeyUse): Uint8Array {
  if (!Object.hasOwn(keyPurposes, purpose))
    throw new KeyUseError('KEY_PURPOSE_UNKNOWN', `No key has the purpose "${String(purpose).slice(0, 80)}"`);
  // Halves of surrogate pairs are all encoded alike: two names would share a key.
  if (!name.isWellFormed()) throw new KeyUseError('KEY_NAME_INVALID', 'The name of a key is not well-formed Unicode');
  const length = utf8(name).length;
  if (length < 1 || length > maxNameBytes)
    throw new KeyUseError('KEY_NAME_INVALID', `The name of a key has 1 to ${maxNameBytes} bytes, got "${length}"`);
  if (!Number.isInteger(version) || version < 1 || version > maxVersion)
    throw new KeyUseError('KEY_USE_VERSION_INVALID', `Versions of keys are 1 to 2^32−1, got "${version}"`);
  return concatBytes(...[purpose, name, String(version)].flatMap(prefixed));
}

function prefixed(text: string): [Uint8Array, Uint8Array] {
  const bytes = utf8(text);
  return [Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes];
}

export type KeyUseErrorCode = 'KEY_PURPOSE_UNKNOWN' | 'KEY_NAME_INVALID' | 'KEY_USE_VERSION_INVALID';

export class KeyUseError extends CloisterError<KeyUseErrorCode> {
  override readonly name = 'KeyUseError';
  constructor(code: KeyUseErrorCode, message: string) {
    super({ code, message });
  }
}
