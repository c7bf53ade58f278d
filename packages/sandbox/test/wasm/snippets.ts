import { wat } from './wat.ts';

const wasi = (name: string, parameters: string, result = '(result i32)'): string =>
  `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${parameters}) ${result}))`;

const imports = [
  wasi('fd_write', 'i32 i32 i32 i32'),
  wasi('fd_read', 'i32 i32 i32 i32'),
  wasi('environ_sizes_get', 'i32 i32'),
  wasi('environ_get', 'i32 i32'),
  wasi('args_get', 'i32 i32'),
  wasi('clock_time_get', 'i32 i64 i32'),
  wasi('random_get', 'i32 i32'),
  wasi('path_open', 'i32 i32 i32 i32 i32 i64 i64 i32 i32'),
  wasi('fd_prestat_get', 'i32 i32'),
  wasi('sock_send', 'i32 i32 i32 i32 i32'),
  wasi('poll_oneoff', 'i32 i32 i32 i32'),
  wasi('proc_exit', 'i32', ''),
].join('\n');

/** Writes to a descriptor what stands in memory, by way of the first 16 bytes of it. */
const write = `(func $write (param $fd i32) (param $at i32) (param $size i32)
  (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
  (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable))))`;

/** A command with this as the body of its start; `more` stands in the module beside it, `pages` is its memory. */
export function command(body: string, more = '', pages = 2): Uint8Array<ArrayBuffer> {
  return wat(
    `(module ${imports} (memory (export "memory") ${pages}) ${write} ${more} (func (export "_start") ${body}))`,
  );
}

/** A reactor that puts what it is given one after the other from 4096 on. */
export function reactor(handle: string, more = ''): Uint8Array<ArrayBuffer> {
  return wat(`(module ${imports} (memory (export "memory") 4) ${write} ${more}
    (global $free (mut i32) (i32.const 4096))
    (func (export "cloister_allocate") (param $size i32) (result i32)
      (global.get $free) (global.set $free (i32.add (global.get $free) (local.get $size))))
    (func (export "cloister_handle") (param $head i32) (param $headSize i32) (param $body i32) (param $bodySize i32) (result i64)
      ${handle}))`);
}

/** Text for a data segment. */
export const data = (at: number, text: string): string =>
  `(data (i32.const ${at}) "${[...Buffer.from(text)].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('')}")`;
