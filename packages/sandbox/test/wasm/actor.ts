import type { Workload } from '../../src/index.ts';
import type { WorkloadOverrides } from '../calls.ts';
import { wat } from './wat.ts';

/** A command that does what the path says, written to WASI alone: see the compliance suite for what each is. */
const actor = `
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 8)
  (data (i32.const 1024) "REQUEST_URI=PATH_INFO=QUERY_STRING=REQUEST_METHOD=HTTP_GATEWAY_INTERFACE=/echo/bytes/fail/break/spin/wait/print/memory/stateline n=")
  (data (i32.const 1280) "{\\22method\\22:\\22\\22,\\22path\\22:\\22\\22,\\22headers\\22:{},\\22env\\22:{},\\22bodyLength\\22:}Status: 404\\0a1")
  (global $count (mut i32) (i32.const 0))
  (global $out (mut i32) (i32.const 262144))

  ;; Pointers to the variables stand at 4096, their text at 65536; what is answered is gathered from 262144 on.
  (func $var (param $i i32) (result i32) (i32.load (i32.add (i32.const 4096) (i32.shl (local.get $i) (i32.const 2)))))
  (func $starts (param $text i32) (param $with i32) (param $size i32) (result i32)
    (local $i i32)
    (loop $next
      (if (i32.eq (local.get $i) (local.get $size)) (then (return (i32.const 1))))
      (if (i32.ne (i32.load8_u (i32.add (local.get $text) (local.get $i))) (i32.load8_u (i32.add (local.get $with) (local.get $i))))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))
    (unreachable))
  (func $find (param $name i32) (param $size i32) (result i32)
    (local $i i32)
    (loop $next
      (if (i32.eq (local.get $i) (global.get $count)) (then (return (i32.const 0))))
      (if (call $starts (call $var (local.get $i)) (local.get $name) (local.get $size))
        (then (return (i32.add (call $var (local.get $i)) (local.get $size)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))
    (unreachable))
  (func $put (param $byte i32)
    (i32.store8 (global.get $out) (local.get $byte))
    (global.set $out (i32.add (global.get $out) (i32.const 1))))
  (func $puts (param $from i32) (param $size i32)
    (memory.copy (global.get $out) (local.get $from) (local.get $size))
    (global.set $out (i32.add (global.get $out) (local.get $size))))
  ;; Text up to a byte, as the inside of a JSON string; gives where it ended. fold: A_B becomes a-b.
  (func $text (param $at i32) (param $until i32) (param $fold i32) (result i32)
    (local $byte i32)
    (loop $next
      (local.set $byte (i32.load8_u (local.get $at)))
      (if (i32.or (i32.eqz (local.get $byte)) (i32.eq (local.get $byte) (local.get $until))) (then (return (local.get $at))))
      (if (i32.or (i32.eq (local.get $byte) (i32.const 34)) (i32.eq (local.get $byte) (i32.const 92)))
        (then (call $put (i32.const 92))))
      (if (local.get $fold) (then
        (if (i32.eq (local.get $byte) (i32.const 95)) (then (local.set $byte (i32.const 45))))
        (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 65)) (i32.const 26))
          (then (local.set $byte (i32.add (local.get $byte) (i32.const 32)))))))
      (call $put (local.get $byte))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))
    (unreachable))
  ;; "name":"value" with a comma before it where it isn't the first.
  (func $pair (param $at i32) (param $fold i32) (param $first i32)
    (if (i32.eqz (local.get $first)) (then (call $put (i32.const 44))))
    (call $put (i32.const 34))
    (local.set $at (call $text (local.get $at) (i32.const 61) (local.get $fold)))
    (call $put (i32.const 34)) (call $put (i32.const 58)) (call $put (i32.const 34))
    (drop (call $text (i32.add (local.get $at) (i32.const 1)) (i32.const 0) (i32.const 0)))
    (call $put (i32.const 34)))
  (func $number (param $n i32)
    (if (i32.ge_u (local.get $n) (i32.const 10)) (then (call $number (i32.div_u (local.get $n) (i32.const 10)))))
    (call $put (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10)))))
  (func $write (param $fd i32) (param $from i32) (param $size i32)
    (loop $more
      (i32.store (i32.const 0) (local.get $from))
      (i32.store (i32.const 4) (local.get $size))
      (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (local.set $from (i32.add (local.get $from) (i32.load (i32.const 8))))
      (local.set $size (i32.sub (local.get $size) (i32.load (i32.const 8))))
      (br_if $more (local.get $size))))
  (func $send (param $fd i32)
    (call $write (local.get $fd) (i32.const 262144) (i32.sub (global.get $out) (i32.const 262144)))
    (global.set $out (i32.const 262144)))
  (func $n (result i32)
    (local $at i32) (local $value i32) (local $digit i32)
    (local.set $at (i32.add (call $find (i32.const 1046) (i32.const 13)) (i32.const 2)))
    (loop $next
      (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
      (if (i32.ge_u (local.get $digit) (i32.const 10)) (then (return (local.get $value))))
      (local.set $value (i32.add (i32.mul (local.get $value) (i32.const 10)) (local.get $digit)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))
    (unreachable))

  (func $echo
    (local $i i32) (local $first i32) (local $size i32)
    (call $puts (i32.const 1280) (i32.const 11))
    (drop (call $text (call $find (i32.const 1059) (i32.const 15)) (i32.const 0) (i32.const 0)))
    (call $puts (i32.const 1291) (i32.const 10))
    (drop (call $text (call $find (i32.const 1024) (i32.const 12)) (i32.const 0) (i32.const 0)))
    (call $puts (i32.const 1301) (i32.const 13))
    (local.set $first (i32.const 1))
    (loop $next
      (if (i32.lt_u (local.get $i) (global.get $count)) (then
        (if (call $starts (call $var (local.get $i)) (i32.const 1074) (i32.const 5)) (then
          (call $pair (i32.add (call $var (local.get $i)) (i32.const 5)) (i32.const 1) (local.get $first))
          (local.set $first (i32.const 0))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))
    (call $puts (i32.const 1314) (i32.const 9))
    (local.set $i (i32.const 0))
    (loop $next
      (if (i32.eqz (call $starts (call $var (local.get $i)) (i32.const 1079) (i32.const 18))) (then
        (call $pair (call $var (local.get $i)) (i32.const 0) (i32.eqz (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))
    (call $puts (i32.const 1323) (i32.const 15))
    (loop $read
      (i32.store (i32.const 0) (i32.const 327680))
      (i32.store (i32.const 4) (i32.const 65536))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (local.set $size (i32.add (local.get $size) (i32.load (i32.const 8))))
      (br_if $read (i32.load (i32.const 8))))
    (call $number (local.get $size))
    (call $put (i32.const 125))
    (call $send (i32.const 1)))
  (func $bytes
    (local $left i32) (local $size i32)
    (local.set $left (call $n))
    (loop $next
      (local.set $size (select (i32.const 16384) (local.get $left) (i32.gt_u (local.get $left) (i32.const 16384))))
      (if (local.get $size) (then
        (call $write (i32.const 1) (i32.const 327680) (local.get $size))
        (local.set $left (i32.sub (local.get $left) (local.get $size)))
        (br $next)))))
  (func $print
    (local $i i32) (local $n i32)
    (local.set $n (call $n))
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $n)) (then
        (call $puts (i32.const 1148) (i32.const 5))
        (call $number (local.get $i))
        (call $put (i32.const 10))
        (if (i32.gt_u (global.get $out) (i32.const 270000)) (then (call $send (i32.const 2))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))
    (call $send (i32.const 2)))
  (func $wait
    (memory.fill (i32.const 64) (i32.const 0) (i32.const 48))
    (i32.store (i32.const 80) (i32.const 1))
    (i64.store (i32.const 88) (i64.const 100000000000000))
    (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160))))
  (func $grow
    (loop $more
      (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable)))
      (memory.fill (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1048576)) (i32.const 1) (i32.const 1048576))
      (br $more)))

  (func (export "_start")
    (local $path i32)
    (if (call $environ_sizes (i32.const 0) (i32.const 4)) (then (unreachable)))
    (global.set $count (i32.load (i32.const 0)))
    (if (call $environ (i32.const 4096) (i32.const 65536)) (then (unreachable)))
    (local.set $path (call $find (i32.const 1036) (i32.const 10)))
    (if (call $starts (local.get $path) (i32.const 1097) (i32.const 5)) (then (call $echo) (return)))
    (if (call $starts (local.get $path) (i32.const 1102) (i32.const 6)) (then (call $bytes) (return)))
    (if (call $starts (local.get $path) (i32.const 1108) (i32.const 5)) (then (call $exit (i32.const 1))))
    (if (call $starts (local.get $path) (i32.const 1113) (i32.const 6))
      (then (call $write (i32.const 1) (i32.const 327680) (i32.const 10)) (call $exit (i32.const 3))))
    (if (call $starts (local.get $path) (i32.const 1119) (i32.const 5)) (then (loop $for_ever (br $for_ever))))
    (if (call $starts (local.get $path) (i32.const 1124) (i32.const 5)) (then (call $wait) (return)))
    (if (call $starts (local.get $path) (i32.const 1129) (i32.const 6)) (then (call $print) (return)))
    (if (call $starts (local.get $path) (i32.const 1135) (i32.const 7)) (then (call $grow)))
    (if (call $starts (local.get $path) (i32.const 1142) (i32.const 6))
      (then (call $write (i32.const 1) (i32.const 1351) (i32.const 1)) (return)))
    (call $write (i32.const 3) (i32.const 1339) (i32.const 12)))
)`;

const code = wat(actor);

export function wasmWorkload(module: Uint8Array, overrides: WorkloadOverrides = {}): Workload {
  return {
    tenant: `0x${'11'.repeat(32)}`,
    version: `0x${'22'.repeat(32)}`,
    kind: 'wasm',
    code: module,
    env: {},
    outboundHosts: [],
    ...overrides,
    limits: {
      memoryBytes: 128 * 1024 * 1024,
      wallMs: 10_000,
      outputBytes: 8 * 1024 * 1024,
      maxConcurrent: 16,
      ...overrides.limits,
    },
  };
}

/** The module that does what the compliance suite asks for. */
export const actorModule = (overrides: WorkloadOverrides = {}): Workload => wasmWorkload(code, overrides);
