import { createRequire } from 'node:module';
import type * as hashes from 'hash-wasm';
import { afterEach, describe, expect, test } from 'vitest';
import { type ConfineOptions, confineModule } from '../../src/wasm/meter/confineModule.ts';

/**
 * Modules that a C compiler made, of a package that is here anyway: a dozen and a half hash functions, with and without the
 * walls in them. What hashes compute is sensitive to every bit that a pass could get wrong.
 */
const message = new Uint8Array(10_000).map((_, index) => index * 7);
const salt = new Uint8Array(16).fill(3);
const small = { password: 'a password', salt, iterations: 2, parallelism: 1, memorySize: 64, hashLength: 32 } as const;

type Compute = (library: typeof hashes) => Promise<string>;
const computations: Readonly<Record<string, Compute>> = {
  adler32: (library) => library.adler32(message),
  argon2id: (library) => library.argon2id({ ...small, outputType: 'hex' }),
  bcrypt: (library) => library.bcrypt({ password: 'a password', salt, costFactor: 4, outputType: 'hex' }),
  blake2b: (library) => library.blake2b(message),
  blake2s: (library) => library.blake2s(message),
  blake3: (library) => library.blake3(message),
  crc32: (library) => library.crc32(message),
  keccak: (library) => library.keccak(message),
  md4: (library) => library.md4(message),
  md5: (library) => library.md5(message),
  ripemd160: (library) => library.ripemd160(message),
  scrypt: (library) =>
    library.scrypt({
      password: 'a',
      salt,
      costFactor: 64,
      blockSize: 8,
      parallelism: 1,
      hashLength: 32,
      outputType: 'hex',
    }),
  sha1: (library) => library.sha1(message),
  sha256: (library) => library.sha256(message),
  sha3: (library) => library.sha3(message),
  sha512: (library) => library.sha512(message),
  sm3: (library) => library.sm3(message),
  whirlpool: (library) => library.whirlpool(message),
  xxhash32: (library) => library.xxhash32(message, 1),
  xxhash64: (library) => library.xxhash64(message, 1, 2),
  xxhash128: (library) => library.xxhash128(message, 1, 2),
};

const require = createRequire(import.meta.url);
const { compile } = WebAssembly;

describe('modules of a C compiler', () => {
  afterEach(() => {
    WebAssembly.compile = compile;
  });

  /** All results, with each module passed through the pass, or left as it is. */
  async function compute(options: ConfineOptions | undefined): Promise<Record<string, string>> {
    let modules = 0;
    WebAssembly.compile = (bytes) => {
      modules += 1;
      const code = new Uint8Array(bytes as ArrayBuffer);
      return compile(options === undefined ? code : (confineModule(code, options) as Uint8Array<ArrayBuffer>));
    };
    // Anew, since the package keeps what it has compiled.
    delete require.cache[require.resolve('hash-wasm')];
    const library = require('hash-wasm') as typeof hashes;
    const results: Record<string, string> = {};
    for (const [name, run] of Object.entries(computations)) results[name] = await run(library);
    expect(modules).toBeGreaterThanOrEqual(18);
    return results;
  }

  test('compute the same with the walls in them', async () => {
    const memoryBytes = 1024 * 1024 * 1024;
    const plain = await compute(undefined);
    for (const [fuel, deterministic] of [
      [undefined, false],
      [1e12, false],
      [1e12, true],
    ] as const)
      expect(await compute({ memoryBytes, fuel, deterministic })).toEqual(plain);
  });
});
