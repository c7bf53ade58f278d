;; Counts lines, words and bytes of a text, like wc(1). A command of WASI preview 1: the text is its standard input, its
;; answer goes to the standard output.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  ;; 0: address and length for the host, 8: what it moved, 16: the head, 64 to 128: digits, 65536 on: the text.
  (data (i32.const 16) "Content-Type: text/plain\n")
  (global $end (mut i32) (i32.const 128))

  (func $write (param $fd i32) (param $from i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $size))
    (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $proc_exit (i32.const 1)))))

  ;; Puts a byte before what is there.
  (func $before (param $byte i32)
    (global.set $end (i32.sub (global.get $end) (i32.const 1)))
    (i32.store8 (global.get $end) (local.get $byte)))

  (func $number (param $value i32)
    (loop $digit
      (call $before (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
      (br_if $digit (local.tee $value (i32.div_u (local.get $value) (i32.const 10))))))

  ;; Space, tab, line feed, vertical tab, form feed, carriage return.
  (func $isSpace (param $byte i32) (result i32)
    (i32.or (i32.eq (local.get $byte) (i32.const 32)) (i32.lt_u (i32.sub (local.get $byte) (i32.const 9)) (i32.const 5))))

  (func (export "_start")
    (local $lines i32) (local $words i32) (local $bytes i32) (local $inWord i32)
    (local $at i32) (local $stop i32) (local $byte i32)
    (call $write (i32.const 3) (i32.const 16) (i32.const 25))
    (block $done
      (loop $read
        (i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (i32.const 65536))
        (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $proc_exit (i32.const 1))))
        (br_if $done (i32.eqz (i32.load (i32.const 8))))
        (local.set $bytes (i32.add (local.get $bytes) (i32.load (i32.const 8))))
        (local.set $at (i32.const 65536))
        (local.set $stop (i32.add (local.get $at) (i32.load (i32.const 8))))
        (loop $next
          (local.set $byte (i32.load8_u (local.get $at)))
          (local.set $lines (i32.add (local.get $lines) (i32.eq (local.get $byte) (i32.const 10))))
          (if (call $isSpace (local.get $byte))
            (then (local.set $inWord (i32.const 0)))
            (else
              (local.set $words (i32.add (local.get $words) (i32.eqz (local.get $inWord))))
              (local.set $inWord (i32.const 1))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $at) (local.get $stop))))
        (br $read)))
    (call $before (i32.const 10))
    (call $number (local.get $bytes))
    (call $before (i32.const 32))
    (call $number (local.get $words))
    (call $before (i32.const 32))
    (call $number (local.get $lines))
    (call $write (i32.const 1) (global.get $end) (i32.sub (i32.const 128) (global.get $end)))))
