/** Reads header blocks (RFC 7541): one decoder for each connection, because its table is what all blocks before left in it. */
import { decodeHuffman } from './huffman.ts'
import { fieldLike, newField, staticFields, type Field } from './hpack-fields.ts'

/** The table's size that peers may count on without any SETTINGS. */
export const TABLE_BYTES = 4096
const STATIC_COUNT = staticFields.length - 1
/**
 * A block whose fields are so many bytes over their limit is not read to its end. Blocks are bounded as they are sent: who comes here
 * names the same fields of the table again and again, or thousands of empty ones.
 */
const BOMB_BYTES = 262_144

/** What may be wrong with a block; 0 is nothing. */
export const IS_BROKEN = 1
export const IS_BOMB = 2

export class HpackDecoder {
  /** Newest last. */
  #table: Field[] = []
  #tableBytes = 0
  #maxBytes = TABLE_BYTES
  /** The place behind the last integer or text that was read; -1 when it was none. */
  #pos = 0
  #end = 0
  #bytes: Uint8Array = new Uint8Array(0)

  /**
   * The fields of a block, appended to `fields`; answers 0, or what is wrong, after which the connection can't be read any more.
   * At most `maxFields` fields of `maxBytes` together are handed out: when there are more, the last one is `tooMany`.
   */
  decode(
    bytes: Uint8Array,
    start: number,
    end: number,
    fields: Field[],
    maxFields: number,
    maxBytes: number,
    tooMany: Field,
  ): number {
    this.#bytes = bytes
    this.#pos = start
    this.#end = end
    let size = 0
    let isFull = false
    let isFirst = true
    const mostBytes = maxBytes + BOMB_BYTES
    while (this.#pos < end) {
      const byte = bytes[this.#pos]!
      let field: Field | null
      if (byte >= 128) {
        field = this.#at(this.#integer(7))
      } else if (byte >= 64) {
        field = this.#literal(6)
        if (field !== null) this.#add(field)
      } else if (byte >= 32) {
        // RFC 7541 4.2: a new size of the table, only before the first field, and not over what was agreed.
        const size_ = this.#integer(5)
        if (!isFirst || size_ < 0 || size_ > TABLE_BYTES) return IS_BROKEN
        this.#maxBytes = size_
        this.#evict(0)
        continue
      } else field = this.#literal(4)
      if (field === null) return IS_BROKEN
      isFirst = false
      size += field.name.length + field.value.length + 32
      if (isFull) {
        if (size > mostBytes) return IS_BOMB
        continue
      }
      if (size > maxBytes || fields.length >= maxFields) {
        isFull = true
        field = tooMany
      }
      fields.push(field)
    }
    return 0
  }

  #at(index: number): Field | null {
    if (index <= 0) return null
    if (index <= STATIC_COUNT) return staticFields[index]!
    return this.#table[this.#table.length - (index - STATIC_COUNT)] ?? null
  }

  #literal(prefixBits: number): Field | null {
    const index = this.#integer(prefixBits)
    if (index < 0) return null
    if (index === 0) {
      const name = this.#text()
      const value = name === null ? null : this.#text()
      return name === null || value === null ? null : newField(name, value)
    }
    const named = this.#at(index)
    const value = named === null ? null : this.#text()
    return named === null || value === null ? null : fieldLike(named, value)
  }

  /** RFC 7541 5.1; -1 when it does not end or is over 2^28. */
  #integer(prefixBits: number): number {
    const bytes = this.#bytes
    const mask = (1 << prefixBits) - 1
    let value = bytes[this.#pos++]! & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#pos >= this.#end) return -1
      const byte = bytes[this.#pos++]!
      value += (byte & 127) << shift
      if (byte < 128) return value
    }
    return -1
  }

  #text(): string | null {
    if (this.#pos >= this.#end) return null
    const isHuffman = this.#bytes[this.#pos]! >= 128
    const length = this.#integer(7)
    const start = this.#pos
    if (length < 0 || start + length > this.#end) return null
    this.#pos = start + length
    if (isHuffman) return decodeHuffman(this.#bytes, start, this.#pos)
    return (this.#bytes as Buffer).latin1Slice(start, this.#pos)
  }

  #add(field: Field): void {
    const { size } = field
    this.#evict(size)
    // RFC 7541 4.4: one that is larger than the table empties it.
    if (size > this.#maxBytes) return
    this.#table.push(field)
    this.#tableBytes += size
  }

  /** Makes room for so many bytes. */
  #evict(room: number): void {
    let gone = 0
    while (gone < this.#table.length && this.#tableBytes + room > this.#maxBytes)
      this.#tableBytes -= this.#table[gone++]!.size
    if (gone > 0) this.#table.splice(0, gone)
  }
}
