;; Answers with the request's body, its letters a to z as capitals. A reactor: the host calls cloister_allocate for room for the request,
;; then cloister_handle, in an instance of its own for each call.
(module
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 0))

  (func (export "cloister_allocate") (param $size i32) (result i32)
    (local $address i32)
    (local.set $address (global.get $free))
    (global.set $free (i32.add (global.get $free) (local.get $size)))
    ;; Pages of 64 KiB, as many as are lacking; where there are none the host's own bound ends the call.
    (if (i32.gt_u (global.get $free) (i32.shl (memory.size) (i32.const 16)))
      (then
        (drop
          (memory.grow
            (i32.sub
              (i32.shr_u (i32.add (global.get $free) (i32.const 65535)) (i32.const 16))
              (memory.size))))))
    (local.get $address))

  (func (export "cloister_handle")
    (param $head i32) (param $headSize i32) (param $body i32) (param $bodySize i32) (result i64)
    (local $at i32)
    (local $end i32)
    (local $byte i32)
    (local.set $at (local.get $body))
    (local.set $end (i32.add (local.get $body) (local.get $bodySize)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26))
          (then (i32.store8 (local.get $at) (i32.sub (local.get $byte) (i32.const 32)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    ;; The answer's address in the upper half, its length in the lower.
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $body)) (i64.const 32))
      (i64.extend_i32_u (local.get $bodySize)))))
