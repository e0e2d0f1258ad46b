/**
 * Splits a streamed answer into the texts of its events while it comes, whatever the pieces in which it comes: server-sent events (WHATWG
 * HTML 9.2.6), lines of JSON, or a list of JSON. What is kept between two pieces is one event, which has a bound.
 */

const LF = 10
const CR = 13
const QUOTE = 34
const BACKSLASH = 92

export class EventSplitter {
  readonly #limitBytes: number
  #mode: 'unknown' | 'events' | 'json' = 'unknown'
  /** An event was over the bound: nothing more is read. */
  isOverLimit = false

  /** Bytes of the line, or of the value, that has not ended. */
  #held: Buffer[] = []
  #heldBytes = 0

  // Server-sent events.
  #data: string[] = []
  #dataBytes = 0
  #endedByCr = false
  #isFirstLine = true

  // Values of JSON.
  #depth = 0
  #isInText = false
  #isEscaped = false

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Whether it is JSON and no server-sent events. */
  get isJson(): boolean {
    return this.#mode === 'json'
  }

  /** The events that are complete now. The bytes may be overwritten after it has returned. */
  push(bytes: Buffer): string[] {
    const events: string[] = []
    if (this.isOverLimit) return events
    if (this.#mode === 'unknown') this.#mode = modeOf(bytes)
    if (this.#mode === 'events') this.#readLines(bytes, events)
    else if (this.#mode === 'json') this.#readValues(bytes, events)
    return events
  }

  /** An event whose end did not come is none. */
  #keep(bytes: Buffer, from: number, to: number): void {
    if (from >= to) return
    this.#heldBytes += to - from
    if (this.#heldBytes + this.#dataBytes > this.#limitBytes) this.#stop()
    else this.#held.push(Buffer.from(bytes.subarray(from, to)))
  }

  #takeHeld(): string {
    const text = Buffer.concat(this.#held, this.#heldBytes).toString('utf8')
    this.#held = []
    this.#heldBytes = 0
    return text
  }

  #stop(): void {
    this.isOverLimit = true
    this.#held = []
    this.#data = []
  }

  #readLines(bytes: Buffer, events: string[]): void {
    let start = this.#endedByCr && bytes[0] === LF ? 1 : 0
    if (bytes.length > 0) this.#endedByCr = false
    for (let i = start; i < bytes.length; i++) {
      const code = bytes[i]
      if (code !== LF && code !== CR) continue
      this.#keep(bytes, start, i)
      if (this.isOverLimit) return
      this.#line(this.#takeHeld(), events)
      if (code === CR) {
        if (bytes[i + 1] === LF) i++
        else if (i + 1 === bytes.length) this.#endedByCr = true
      }
      start = i + 1
    }
    this.#keep(bytes, start, bytes.length)
  }

  #line(text: string, events: string[]): void {
    const line = this.#isFirstLine && text.startsWith('\uFEFF') ? text.slice(1) : text
    this.#isFirstLine = false
    if (line === '') {
      if (this.#data.length > 0) events.push(this.#data.join('\n'))
      this.#data = []
      this.#dataBytes = 0
    } else if (line === 'data' || line.startsWith('data:')) {
      const value = line.slice('data:'.length)
      this.#data.push(value.startsWith(' ') ? value.slice(1) : value)
      this.#dataBytes += line.length
    }
  }

  #readValues(bytes: Buffer, events: string[]): void {
    let start = 0
    for (let i = 0; i < bytes.length; i++) {
      const code = bytes[i]!
      if (this.#isInText) {
        if (this.#isEscaped) this.#isEscaped = false
        else if (code === BACKSLASH) this.#isEscaped = true
        else if (code === QUOTE) this.#isInText = false
      } else if (code === QUOTE) this.#isInText = this.#depth > 0
      else if (code === 0x7b || (code === 0x5b && this.#depth > 0)) {
        // Of a list that all events stand in only the members count.
        if (this.#depth++ === 0) start = i
      } else if ((code === 0x7d || code === 0x5d) && this.#depth > 0 && --this.#depth === 0) {
        this.#keep(bytes, start, i + 1)
        if (this.isOverLimit) return
        events.push(this.#takeHeld())
      }
    }
    if (this.#depth > 0) this.#keep(bytes, start, bytes.length)
  }
}

/** JSON begins with its first mark; spaces and line ends before it say nothing. */
function modeOf(bytes: Buffer): 'unknown' | 'events' | 'json' {
  for (const code of bytes) {
    if (code === 0x7b || code === 0x5b) return 'json'
    if (code !== 32 && code !== 9 && code !== LF && code !== CR) return 'events'
  }
  return 'unknown'
}
