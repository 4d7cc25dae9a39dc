;; A Gristmill filter by hand: checks a notification, drops what is private, and says whom it is for.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; 0: one vector of bytes for WASI, and at 8 how many were read or written. From 1024 on lies the payload, then the new one.
  (memory (export "memory") 2)
  (data (i32.const 16) "not JSON\n")
  (data (i32.const 32) "no notification: `user` and `text` are to be strings\n")
  (data (i32.const 96) "\"ip\"\"user\"\"text\"")
  (data (i32.const 112) "user: \n\n{},")

  (global $at (mut i32) (i32.const 1024))
  (global $end (mut i32) (i32.const 1024))
  (global $out (mut i32) (i32.const 0))

  (func $write (param $to i32) (param $from i32) (param $bytes i32)
    (loop $more
      (i32.store (i32.const 0) (local.get $from))
      (i32.store (i32.const 4) (local.get $bytes))
      (if (call $fd_write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (local.set $from (i32.add (local.get $from) (i32.load (i32.const 8))))
      (local.set $bytes (i32.sub (local.get $bytes) (i32.load (i32.const 8))))
      (br_if $more (local.get $bytes))))

  ;; Exit code 65 rejects the message; the last line on stderr is the reason.
  (func $reject (param $why i32) (param $bytes i32)
    (call $write (i32.const 2) (local.get $why) (local.get $bytes))
    (call $proc_exit (i32.const 65)))

  (func $not_json
    (call $reject (i32.const 16) (i32.const 9))
    (unreachable))

  ;; Makes sure that there is memory up to $to.
  (func $reserve (param $to i32) (local $pages i32)
    (local.set $pages (i32.sub (i32.add (i32.shr_u (local.get $to) (i32.const 16)) (i32.const 1)) (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then (unreachable))))))

  (func $read_all
    (loop $more
      (call $reserve (i32.add (global.get $end) (i32.const 65536)))
      (i32.store (i32.const 0) (global.get $end))
      (i32.store (i32.const 4) (i32.const 65536))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (global.set $end (i32.add (global.get $end) (i32.load (i32.const 8))))
      (br_if $more (i32.load (i32.const 8)))))

  ;; The byte at hand, 0 at the end.
  (func $peek (result i32)
    (if (result i32) (i32.lt_u (global.get $at) (global.get $end))
      (then (i32.load8_u (global.get $at)))
      (else (i32.const 0))))

  (func $next
    (global.set $at (i32.add (global.get $at) (i32.const 1))))

  (func $space (local $byte i32)
    (loop $more
      (local.set $byte (call $peek))
      (if (i32.or (i32.eq (local.get $byte) (i32.const 32))
                  (i32.lt_u (i32.sub (local.get $byte) (i32.const 9)) (i32.const 5)))
        (then (call $next) (br $more)))))

  ;; Whether $byte stood here; then it is passed, with the space behind it.
  (func $passed (param $byte i32) (result i32)
    (if (i32.ne (call $peek) (local.get $byte)) (then (return (i32.const 0))))
    (call $next)
    (call $space)
    (i32.const 1))

  (func $demand (param $byte i32)
    (if (i32.eqz (call $passed (local.get $byte))) (then (call $not_json))))

  ;; Passes a string and the space behind it, and says where behind its end quote it ended.
  (func $string (result i32) (local $byte i32) (local $end i32)
    (if (i32.ne (call $peek) (i32.const 34)) (then (call $not_json)))
    (call $next)
    (loop $more
      (local.set $byte (call $peek))
      (if (i32.lt_u (local.get $byte) (i32.const 32)) (then (call $not_json)))
      (call $next)
      (if (i32.eq (local.get $byte) (i32.const 92)) (then (call $next) (br $more)))
      (br_if $more (i32.ne (local.get $byte) (i32.const 34))))
    (local.set $end (global.get $at))
    (call $space)
    (local.get $end))

  ;; Passes a value of any kind: what is nested is only looked at for where it ends.
  (func $value (local $depth i32) (local $byte i32) (local $start i32)
    (local.set $start (global.get $at))
    (block $done
      (loop $more
        (local.set $byte (call $peek))
        (if (i32.eqz (local.get $byte)) (then (call $not_json)))
        (if (i32.eq (local.get $byte) (i32.const 34))
          (then
            (drop (call $string))
            (br_if $more (local.get $depth))
            (return)))
        ;; `[` and `{` differ in one bit, and so do their ends.
        (if (i32.eq (i32.or (local.get $byte) (i32.const 32)) (i32.const 123))
          (then (local.set $depth (i32.add (local.get $depth) (i32.const 1)))))
        (if (i32.eq (i32.or (local.get $byte) (i32.const 32)) (i32.const 125))
          (then
            (br_if $done (i32.eqz (local.get $depth)))
            (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
            (call $next)
            (br_if $more (local.get $depth))
            (call $space)
            (return)))
        (if (i32.eqz (local.get $depth))
          (then (br_if $done (i32.eq (local.get $byte) (i32.const 44)))))
        (call $next)
        (br $more)))
    (if (i32.eq (local.get $start) (global.get $at)) (then (call $not_json))))

  ;; Whether the string from $from to $to is the one of $bytes at $other, quotes and all.
  (func $is (param $from i32) (param $to i32) (param $other i32) (param $bytes i32) (result i32)
    (if (i32.ne (i32.sub (local.get $to) (local.get $from)) (local.get $bytes)) (then (return (i32.const 0))))
    (loop $more
      (if (i32.ne (i32.load8_u (local.get $from)) (i32.load8_u (local.get $other))) (then (return (i32.const 0))))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (local.set $other (i32.add (local.get $other) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $from) (local.get $to))))
    (i32.const 1))

  ;; Adds bytes to the new payload.
  (func $put (param $from i32) (param $to i32)
    (memory.copy (global.get $out) (local.get $from) (i32.sub (local.get $to) (local.get $from)))
    (global.set $out (i32.add (global.get $out) (i32.sub (local.get $to) (local.get $from)))))

  (func (export "_start")
    (local $name i32) (local $name_end i32) (local $value i32) (local $text i32)
    (local $user i32) (local $user_end i32) (local $new i32)
    (call $read_all)
    (local.set $new (global.get $end))
    (global.set $out (global.get $end))
    ;; What is left of the payload is never longer than it was, but for the two braces.
    (call $reserve (i32.add (i32.sub (i32.shl (global.get $end) (i32.const 1)) (i32.const 1024)) (i32.const 2)))
    (call $space)
    (call $demand (i32.const 123))
    (call $put (i32.const 120) (i32.const 121))
    (if (i32.ne (call $peek) (i32.const 125))
      (then
        (loop $members
          (local.set $name (global.get $at))
          (local.set $name_end (call $string))
          (call $demand (i32.const 58))
          (local.set $value (global.get $at))
          (call $value)
          (if (i32.eq (i32.load8_u (local.get $value)) (i32.const 34))
            (then
              (if (call $is (local.get $name) (local.get $name_end) (i32.const 106) (i32.const 6))
                (then (local.set $text (i32.const 1))))
              (if (call $is (local.get $name) (local.get $name_end) (i32.const 100) (i32.const 6))
                (then
                  (local.set $user (i32.add (local.get $value) (i32.const 1)))
                  (local.set $user_end (global.get $at))))))
          (if (i32.eqz (call $is (local.get $name) (local.get $name_end) (i32.const 96) (i32.const 4)))
            (then
              (if (i32.gt_u (i32.sub (global.get $out) (local.get $new)) (i32.const 1))
                (then (call $put (i32.const 122) (i32.const 123))))
              (call $put (local.get $name) (global.get $at))))
          (br_if $members (call $passed (i32.const 44))))))
    (call $demand (i32.const 125))
    (if (i32.ne (global.get $at) (global.get $end)) (then (call $not_json)))
    (call $put (i32.const 121) (i32.const 122))
    (if (i32.eqz (i32.and (local.get $text) (i32.ne (local.get $user) (i32.const 0))))
      (then (call $reject (i32.const 32) (i32.const 53))))
    ;; The string's end quote, and the space that may stand behind it, are not part of the name.
    (loop $back
      (local.set $user_end (i32.sub (local.get $user_end) (i32.const 1)))
      (br_if $back (i32.ne (i32.load8_u (local.get $user_end)) (i32.const 34))))
    (call $write (i32.const 1) (i32.const 112) (i32.const 6))
    (if (i32.ne (local.get $user) (local.get $user_end))
      (then (call $write (i32.const 1) (local.get $user) (i32.sub (local.get $user_end) (local.get $user)))))
    (call $write (i32.const 1) (i32.const 118) (i32.const 2))
    (call $write (i32.const 1) (local.get $new) (i32.sub (global.get $out) (local.get $new)))))
