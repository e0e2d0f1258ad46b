/**
 * Header fields of one message: order and case are kept, repeated names stay apart. A list that came from the wire keeps
 * offsets into the received head; strings are made when somebody asks. What nobody changed is serialised by copying
 * whole runs of checked lines, which costs a tenth of joining names and values again.
 */
import { equalsFolded, headerId, identifyHeader, type KnownHeader } from './known-headers.ts'

const REMOVED = -1
/** Numbers per entry in `spans`: id, name start, name end, value start, value end. */
const STRIDE = 5

export class HeaderList {
  /** The head that the offsets point into; every line in it was checked by the parser. */
  source: string
  /** STRIDE numbers per entry; name start -1 marks an entry whose text is in `own`. */
  spans: number[]
  /** Names and values that did not come from `source`, at 2 * entry. */
  own: string[] | null
  /** Bits of known headers that may be there, by id: a clear bit says no without looking. */
  low: number
  high: number

  constructor(source = '', spans: number[] = [], low = 0, high = 0) {
    this.source = source
    this.spans = spans
    this.own = null
    this.low = low
    this.high = high
  }

  static from(entries: Iterable<readonly [string, string]>): HeaderList {
    const list = new HeaderList()
    for (const [name, value] of entries) list.append(name, value)
    return list
  }

  /** Value of the first field with this name (any case), or null. */
  get(name: string): string | null {
    const at = this.#find(name, 0)
    return at < 0 ? null : this.#value(at)
  }

  /** Like `get` for a name that the gateway knows, without comparing text. */
  getKnown(id: number): string | null {
    if (!this.mayHave(id)) return null
    const { spans } = this
    for (let at = 0; at < spans.length; at += STRIDE) if (spans[at] === id) return this.#value(at)
    return null
  }

  hasKnown(id: number): boolean {
    if (!this.mayHave(id)) return false
    const { spans } = this
    for (let at = 0; at < spans.length; at += STRIDE) if (spans[at] === id) return true
    return false
  }

  mayHave(id: number): boolean {
    return ((id < 32 ? this.low >>> id : this.high >>> (id - 32)) & 1) === 1
  }

  has(name: string): boolean {
    return this.#find(name, 0) >= 0
  }

  /** Values of every field with this name, in order. */
  getAll(name: string): string[] {
    const values: string[] = []
    for (let at = this.#find(name, 0); at >= 0; at = this.#find(name, at + STRIDE)) values.push(this.#value(at))
    return values
  }

  /** Like `getAll` for a name that the gateway knows. */
  getAllKnown(id: number): string[] {
    const { spans } = this
    const values: string[] = []
    for (let at = 0; at < spans.length; at += STRIDE) if (spans[at] === id) values.push(this.#value(at))
    return values
  }

  /**
   * Position of the first field behind position `after` (-1: from the start) whose name equals `name` when neither case nor the choice
   * of '-' or '_' counts, as in route matching; -1 when there is none. `name` is in lower case with '-' only.
   */
  nextLike(name: string, after: number): number {
    const { spans, source, own } = this
    const { length } = name
    for (let at = after < 0 ? 0 : after + STRIDE; at < spans.length; at += STRIDE) {
      if (spans[at] === REMOVED) continue
      const start = spans[at + 1]!
      if (start < 0) {
        const text = own![(at / STRIDE) * 2]!
        if (text.length === length && equalsLike(text, 0, name)) return at
      } else if (spans[at + 2]! - start === length && equalsLike(source, start, name)) return at
    }
    return -1
  }

  /** Value of the field at a position that `nextLike` gave. */
  valueAt(position: number): string {
    return this.#value(position)
  }

  /** Replaces the first field with this name and removes its repetitions; appends when there is none. */
  set(name: string, value: string): void {
    const at = this.#find(name, 0)
    if (at < 0) return this.append(name, value)
    this.#write(at, this.#name(at), value)
    for (let next = this.#find(name, at + STRIDE); next >= 0; next = this.#find(name, next + STRIDE))
      this.spans[next] = REMOVED
  }

  /** Like `set` for a name whose id is known to the caller. */
  setKnown(id: number, name: string, value: string): void {
    const { spans } = this
    let isSet = false
    for (let at = 0; at < spans.length; at += STRIDE) {
      if (spans[at] !== id) continue
      if (isSet) spans[at] = REMOVED
      else this.#write(at, this.#name(at), value)
      isSet = true
    }
    if (!isSet) this.appendKnown(id, name, value)
  }

  append(name: string, value: string): void {
    this.appendKnown(identifyHeader(name, 0, name.length), name, value)
  }

  /** Appends a field whose id is known to the caller. */
  appendKnown(id: number, name: string, value: string): void {
    const at = this.spans.length
    this.spans.push(id, -1, 0, 0, 0)
    if (id >= 32) this.high |= 1 << (id - 32)
    else if (id > 0) this.low |= 1 << id
    this.#write(at, name, value)
  }

  /** Removes every field with this name and says whether there was one. */
  remove(name: string): boolean {
    let found = false
    for (let at = this.#find(name, 0); at >= 0; at = this.#find(name, at + STRIDE)) {
      this.spans[at] = REMOVED
      found = true
    }
    return found
  }

  removeKnown(id: number): void {
    const { spans } = this
    for (let at = 0; at < spans.length; at += STRIDE) if (spans[at] === id) spans[at] = REMOVED
  }

  /** Number of fields. */
  get size(): number {
    let count = 0
    for (let at = 0; at < this.spans.length; at += STRIDE) if (this.spans[at] !== REMOVED) count++
    return count
  }

  *[Symbol.iterator](): Generator<[name: string, value: string]> {
    for (let at = 0; at < this.spans.length; at += STRIDE)
      if (this.spans[at] !== REMOVED) yield [this.#name(at), this.#value(at)]
  }

  /** Lower-case names; the value is a list where the name came several times. */
  toObject(): Record<string, string | string[]> {
    const object: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>
    for (const [name, value] of this) {
      const key = name.toLowerCase()
      const before = object[key]
      object[key] = before === undefined ? value : typeof before === 'string' ? [before, value] : [...before, value]
    }
    return object
  }

  /** An independent copy. */
  clone(): HeaderList {
    const copy = new HeaderList(this.source, this.spans.slice(), this.low, this.high)
    copy.own = this.own === null ? null : this.own.slice()
    return copy
  }

  /**
   * The fields as lines with CRLF, without those whose id is set in `skip` (indexed by header id; 1 skips).
   * Neighbouring lines that came from the wire in the canonical form `Name: value` are copied as one piece.
   */
  serialise(skip: Uint8Array): string {
    const { source, spans } = this
    let text = ''
    let runStart = -1
    let runEnd = -1
    for (let at = 0; at < spans.length; at += STRIDE) {
      const id = spans[at]!
      if (id === REMOVED || skip[id] === 1) continue
      const nameStart = spans[at + 1]!
      const valueEnd = spans[at + 4]!
      if (
        nameStart >= 0 &&
        spans[at + 3]! === spans[at + 2]! + 2 &&
        source.charCodeAt(valueEnd) === 13 &&
        source.charCodeAt(spans[at + 2]! + 1) === 32
      ) {
        if (runEnd === nameStart) runEnd = valueEnd + 2
        else {
          if (runEnd > 0) text += source.substring(runStart, runEnd)
          runStart = nameStart
          runEnd = valueEnd + 2
        }
        continue
      }
      if (runEnd > 0) {
        text += source.substring(runStart, runEnd)
        runEnd = -1
      }
      text += this.#name(at) + ': ' + this.#value(at) + '\r\n'
    }
    return runEnd > 0 ? text + source.substring(runStart, runEnd) : text
  }

  #find(name: string, from: number): number {
    const { spans, source, own } = this
    const { length } = name
    const id = identifyHeader(name, 0, length)
    if (id > 0) {
      if (!this.mayHave(id)) return -1
      for (let at = from; at < spans.length; at += STRIDE) if (spans[at] === id) return at
      return -1
    }
    const lower = name.toLowerCase()
    for (let at = from; at < spans.length; at += STRIDE) {
      if (spans[at] !== 0) continue
      const start = spans[at + 1]!
      if (start < 0) {
        const text = own![(at / STRIDE) * 2]!
        if (text.length === length && equalsFolded(text, 0, lower)) return at
      } else if (spans[at + 2]! - start === length && equalsFolded(source, start, lower)) return at
    }
    return -1
  }

  #name(at: number): string {
    const start = this.spans[at + 1]!
    return start < 0 ? this.own![(at / STRIDE) * 2]! : this.source.substring(start, this.spans[at + 2])
  }

  #value(at: number): string {
    return this.spans[at + 1]! < 0
      ? this.own![(at / STRIDE) * 2 + 1]!
      : this.source.substring(this.spans[at + 3]!, this.spans[at + 4])
  }

  #write(at: number, name: string, value: string): void {
    const own = (this.own ??= [])
    const index = (at / STRIDE) * 2
    while (own.length < index) own.push('')
    this.spans[at + 1] = -1
    own[index] = name
    own[index + 1] = value
  }
}

/** `equalsFolded` that also takes '_' for '-'. */
function equalsLike(source: string, start: number, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    let code = source.charCodeAt(start + i)
    if (code >= 65 && code <= 90) code |= 0x20
    else if (code === 95) code = 45
    if (code !== lower.charCodeAt(i)) return false
  }
  return true
}

/** A skip table for `serialise`. */
export function skipTable(names: readonly KnownHeader[]): Uint8Array {
  const table = new Uint8Array(256)
  for (const name of names) table[headerId[name]] = 1
  return table
}
