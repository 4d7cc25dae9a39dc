// A Gristmill filter in AssemblyScript: checks a notification, drops what is private, and says whom it is for.

import { Field, Json } from "./json"

// Exit codes of sysexits.h that Gristmill knows.
const REJECT = 65 // EX_DATAERR: this message can never work
const RETRY = 75 // EX_TEMPFAIL: it may work later

const secret = privateField()
const notification = new Json(input(), "not JSON", REJECT)
const fields = notification.fields()
const user = text("user")
if (text("text") == null || user == null) end("no notification: `user` and `text` are to be strings", REJECT)
if (user!.includes("\r") || user!.includes("\n")) end("no notification: `user` holds a line break, which no header can", REJECT)

// With mode = "cgi" the output begins with headers and an empty line.
process.stdout.write(String.UTF8.encode(`user: ${user!}\n\n`, false, String.UTF8.ErrorMode.REPLACE))
process.stdout.write(notification.only(fields.filter((field) => field.name != secret)))

/** The string in this field of the notification, if there is one. */
function text(name: string): string | null {
  for (let i = fields.length - 1; i >= 0; i--) {
    if (fields[i].name == name) return notification.text(fields[i])
  }
  return null
}

/** Which field is private. */
function privateField(): string {
  const name = "GRISTMILL_CONFIG"
  const config = new Json(String.UTF8.encode(process.env.has(name) ? process.env.get(name) : "{}"), "the config is not JSON", RETRY)
  const fields = config.fields()
  for (let i = 0; i < fields.length; i++) {
    if (fields[i].name != "private") continue
    const field = config.text(fields[i])
    if (field == null) end("`private` is to be the name of a field", RETRY)
    return field!
  }
  return "ip"
}

/** All of stdin. */
function input(): ArrayBuffer {
  let read = new ArrayBuffer(64 << 10)
  let length = 0
  for (let more = -1; more != 0; length += more) {
    if (length == read.byteLength) {
      const larger = new ArrayBuffer(length * 2)
      memory.copy(changetype<usize>(larger), changetype<usize>(read), length)
      read = larger
    }
    more = process.stdin.read(read, length)
  }
  return read.slice(0, length)
}

/** Says why, as the last line on stderr, and exits. */
function end(reason: string, code: i32): void {
  process.stderr.write(`${reason}\n`)
  process.exit(code)
}
