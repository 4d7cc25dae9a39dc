// As much JSON as a filter needs: a walk over a document that finds the fields of the object at its top, and ends the
// program where it is not JSON.

/** A field of an object, by where it stands in the document. */
export class Field {
  constructor(
    readonly name: string,
    readonly from: i32,
    /** Where its value begins. */
    readonly value: i32,
    readonly to: i32,
  ) {}
}

/** What is nested deeper is refused, so that nobody can use up the stack. */
const DEPTH = 128
const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
/** The characters that may stand behind a backslash, and what they mean. */
const ESCAPES = "\"\\/bfnrt"
const ESCAPED = "\"\\/\b\f\n\r\t"
const SPACE: StaticArray<u32> = [0x20, 0x09, 0x0a, 0x0d]
/** The least code that takes so many bytes more than one in UTF-8. */
const LEAST: StaticArray<u32> = [0, 0x80, 0x800, 0x10000]

export class Json {
  private bytes: Uint8Array
  private at: i32 = 0

  /** Where the document is not JSON the program ends with this code, and `what` begins the reason. */
  constructor(document: ArrayBuffer, private what: string, private code: i32) {
    this.bytes = Uint8Array.wrap(document)
  }

  /** The fields of the object that the document is; none where it is something else. */
  fields(): Field[] {
    const fields: Field[] = []
    this.space()
    if (this.byte() == 0x7b) this.object(fields, 0)
    else this.skip(0)
    this.space()
    if (this.at < this.bytes.length) this.fail("more than one value")
    return fields
  }

  /** What the value of the field says, if it is a string. */
  text(field: Field): string | null {
    this.at = field.value
    return this.byte() == QUOTE ? this.string() : null
  }

  /** An object of these fields, each as it is written. */
  only(fields: Field[]): ArrayBuffer {
    let length = 2 + max(fields.length - 1, 0)
    for (let i = 0; i < fields.length; i++) length += fields[i].to - fields[i].from
    const object = new Uint8Array(length)
    let at = 0
    object[at++] = 0x7b
    for (let i = 0; i < fields.length; i++) {
      if (i > 0) object[at++] = COMMA
      const field = fields[i]
      object.set(this.bytes.subarray(field.from, field.to), at)
      at += field.to - field.from
    }
    object[at] = 0x7d
    return object.buffer
  }

  /** The byte here; 0, which no document may hold, behind the last. */
  private byte(): u32 {
    return this.at < this.bytes.length ? this.bytes[this.at] : 0
  }

  private space(): void {
    while (SPACE.includes(this.byte())) this.at++
  }

  /** Steps over this byte and the space around it, if it is there. */
  private take(byte: u32): bool {
    this.space()
    if (this.byte() != byte) return false
    this.at++
    this.space()
    return true
  }

  /** Steps over a value. */
  private skip(depth: i32): void {
    const first = this.byte()
    if (depth > DEPTH) this.fail("nested too deeply")
    if (first == QUOTE) this.skipString()
    else if (first == 0x7b) this.object(null, depth)
    else if (first == 0x5b) this.array(depth)
    else if (first == 0x74) this.word("true")
    else if (first == 0x66) this.word("false")
    else if (first == 0x6e) this.word("null")
    else this.number()
  }

  private object(fields: Field[] | null, depth: i32): void {
    this.at++
    if (this.take(0x7d)) return
    do {
      const from = this.at
      if (this.byte() != QUOTE) this.fail("the name of a field is missing")
      const name = fields ? this.string() : ""
      if (!fields) this.skipString()
      if (!this.take(0x3a)) this.fail("a colon is missing")
      const value = this.at
      this.skip(depth + 1)
      if (fields) fields.push(new Field(name, from, value, this.at))
    } while (this.take(COMMA))
    this.close(0x7d)
  }

  private array(depth: i32): void {
    this.at++
    if (this.take(0x5d)) return
    do this.skip(depth + 1)
    while (this.take(COMMA))
    this.close(0x5d)
  }

  private close(byte: u32): void {
    if (this.byte() != byte) this.fail("a comma or the end of an object or array is missing")
    this.at++
  }

  private word(word: string): void {
    for (let i = 0; i < word.length; i++, this.at++) {
      if (this.byte() != <u32>word.charCodeAt(i)) this.fail("this is no value")
    }
  }

  private number(): void {
    if (this.byte() == 0x2d) this.at++
    if (this.byte() == 0x30) this.at++
    else this.digits("this is no value")
    if (this.byte() == 0x2e) {
      this.at++
      this.digits("a digit is missing")
    }
    if ((this.byte() | 0x20) == 0x65) {
      this.at++
      if (this.byte() == 0x2b || this.byte() == 0x2d) this.at++
      this.digits("a digit is missing")
    }
  }

  private digits(missing: string): void {
    const start = this.at
    while (this.byte() >= 0x30 && this.byte() <= 0x39) this.at++
    if (this.at == start) this.fail(missing)
  }

  private skipString(): void {
    this.at++
    while (this.byte() != QUOTE) this.character()
    this.at++
  }

  /** What the string here says. */
  private string(): string {
    const from = this.at
    this.skipString()
    // No character takes more units in UTF-16 than bytes here.
    const units = new StaticArray<u16>(this.at - from)
    let count = 0
    this.at = from + 1
    while (this.byte() != QUOTE) {
      const character = this.character()
      if (character > 0xffff) units[count++] = <u16>(0xd7c0 + (character >> 10))
      units[count++] = <u16>(character > 0xffff ? 0xdc00 + (character & 0x3ff) : character)
    }
    this.at++
    return String.UTF16.decodeUnsafe(changetype<usize>(units), count * 2)
  }

  /** Steps over a character of a string, and gives its code; one that is escaped may be half of a pair. */
  private character(): u32 {
    const first = this.byte()
    if (first == BACKSLASH) return this.escape()
    if (first < 0x20) this.fail(this.at < this.bytes.length ? "a control character in a string" : "the string does not end")
    if (first < 0x80) {
      this.at++
      return first
    }
    const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1
    let code = first & (0x3f >> more)
    const start = this.at++
    for (let i = 0; i < more; i++, this.at++) {
      if ((this.byte() & 0xc0) != 0x80) this.fail("not UTF-8")
      code = (code << 6) | (this.byte() & 0x3f)
    }
    if (first < 0xc2 || first > 0xf4 || code < LEAST[more] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) {
      this.at = start
      this.fail("not UTF-8")
    }
    return code
  }

  private escape(): u32 {
    this.at++
    const letter = this.byte()
    const place = ESCAPES.indexOf(String.fromCharCode(letter))
    if (place < 0 && letter != 0x75) this.fail("no such escape")
    this.at++
    if (place >= 0) return ESCAPED.charCodeAt(place)
    let unit: u32 = 0
    for (let i = 0; i < 4; i++, this.at++) {
      const digit = this.byte()
      const letter = digit | 0x20
      if (digit >= 0x30 && digit <= 0x39) unit = unit * 16 + digit - 0x30
      else if (letter >= 0x61 && letter <= 0x66) unit = unit * 16 + letter - 0x61 + 10
      else this.fail("four hexadecimal digits are wanted")
    }
    return unit
  }

  private fail(why: string): void {
    process.stderr.write(`${this.what}: ${why} at byte ${this.at}\n`)
    process.exit(this.code)
  }
}
