import { wat } from './wat.ts';

/** Parameters of each function of WASI preview 1 (i: i32, I: i64), in the order in which the census asks them. */
const functions: readonly (readonly [name: string, parameters: string])[] = [
  ...([
    ['args_sizes_get', 'ii'],
    ['environ_sizes_get', 'ii'],
    ['args_get', 'ii'],
    ['environ_get', 'ii'],
  ] as const),
  ...([
    ['clock_res_get', 'ii'],
    ['fd_advise', 'iIIi'],
    ['fd_allocate', 'iII'],
    ['fd_datasync', 'i'],
  ] as const),
  ...([
    ['fd_fdstat_get', 'ii'],
    ['fd_fdstat_set_flags', 'ii'],
    ['fd_fdstat_set_rights', 'iII'],
  ] as const),
  ...([
    ['fd_filestat_get', 'ii'],
    ['fd_filestat_set_size', 'iI'],
    ['fd_filestat_set_times', 'iIIi'],
  ] as const),
  ...([
    ['fd_pread', 'iiiIi'],
    ['fd_prestat_get', 'ii'],
    ['fd_prestat_dir_name', 'iii'],
    ['fd_pwrite', 'iiiIi'],
  ] as const),
  ...([
    ['fd_read', 'iiii'],
    ['fd_readdir', 'iiiIi'],
    ['fd_renumber', 'ii'],
    ['fd_seek', 'iIii'],
    ['fd_sync', 'i'],
  ] as const),
  ...([
    ['fd_tell', 'ii'],
    ['path_create_directory', 'iii'],
    ['path_filestat_get', 'iiiii'],
  ] as const),
  ...([
    ['path_filestat_set_times', 'iiiiIIi'],
    ['path_link', 'iiiiiii'],
    ['path_open', 'iiiiiIIii'],
  ] as const),
  ...([
    ['path_readlink', 'iiiiii'],
    ['path_remove_directory', 'iii'],
    ['path_rename', 'iiiiii'],
  ] as const),
  ...([
    ['path_symlink', 'iiiii'],
    ['path_unlink_file', 'iii'],
    ['proc_raise', 'i'],
    ['sched_yield', ''],
  ] as const),
  ...([
    ['sock_accept', 'iii'],
    ['sock_recv', 'iiiiii'],
    ['sock_send', 'iiiii'],
    ['sock_shutdown', 'ii'],
  ] as const),
];

/** The first argument of each, where it is a descriptor or an address. */
const firsts = [0, 1, 2, 3, 4, 5, 63, 511, 1024, 0x7fffffff, -1];
const results = 8192;

/**
 * A module that asks every function of WASI with many descriptors, and answers with what each said, in order, and with all of
 * its memory beside: what it was told, and what it found there before anybody wrote.
 */
export function censusModule(): Uint8Array<ArrayBuffer> {
  const types: Readonly<Record<string, string>> = { i: 'i32', I: 'i64' };
  const imports = functions.map(([name, parameters]) => {
    const given = [...parameters].map((each) => types[each]).join(' ');
    return `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${given}) (result i32)))`;
  });
  let at = results;
  const asks = functions.flatMap(([name, parameters]) =>
    firsts.map((first) => {
      const values = [...parameters].map(
        (each, index) => `(${types[each]}.const ${index === 0 ? first : 1024 + index * 64})`,
      );
      const ask = `(i32.store (i32.const ${at}) (call $${name} ${values.join(' ')}))`;
      at += 4;
      return ask;
    }),
  );
  return wat(`(module ${imports.join('\n')}
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "_start")
      ${asks.join('\n')}
      (i32.store (i32.const 0) (i32.const 0))
      (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 131072))
      (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))))`);
}
