/** The Huffman code of HPACK (RFC 7541 5.2 and Appendix B), read half a byte at a time by a table. */

/**
 * Bits of the code of each byte, and of EOS last. The code is canonical: codes of one length follow each other in the order of
 * their symbols, and the next length goes on from there; so the lengths say all.
 */
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
]
const EOS = 256

/** The code of each symbol, by `LENGTHS`. */
function canonicalCodes(): number[] {
  const codes: number[] = []
  const order = LENGTHS.map((_, symbol) => symbol).sort((a, b) => LENGTHS[a]! - LENGTHS[b]! || a - b)
  let code = 0
  let before = LENGTHS[order[0]!]!
  for (const symbol of order) {
    const length = LENGTHS[symbol]!
    code *= 2 ** (length - before)
    codes[symbol] = code++
    before = length
  }
  return codes
}

/** In an entry: the low 9 bits are the state after these four bits, then a symbol with its flag, then whether a text may end here. */
const HAS_SYMBOL = 1 << 17
const MAY_END = 1 << 18
const IS_BAD = 1 << 19

const STEPS = buildSteps()

/** Sixteen entries for each inner node of the code's tree; the root is the first. */
function buildSteps(): Int32Array {
  const codes = canonicalCodes()
  /** Children of the inner nodes: a node as its number, a symbol as -1 - symbol. */
  const nodes: [number, number][] = [[NaN, NaN]]
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0
    for (let bit = LENGTHS[symbol]! - 1; bit >= 0; bit--) {
      const side = Math.floor(codes[symbol]! / 2 ** bit) % 2
      if (bit === 0) nodes[node]![side] = -1 - symbol
      else {
        if (Number.isNaN(nodes[node]![side])) nodes[node]![side] = nodes.push([NaN, NaN]) - 1
        node = nodes[node]![side]!
      }
    }
  }
  // RFC 7541 5.2: what is left over has to be the beginning of EOS, that is ones, and less than a byte.
  const endings = new Set<number>([0])
  for (let node = 0, bits = 0; bits < 7; bits++) endings.add((node = nodes[node]![1]!))
  const steps = new Int32Array(nodes.length * 16)
  for (let from = 0; from < nodes.length; from++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = from
      let entry = 0
      for (let bit = 3; bit >= 0 && (entry & IS_BAD) === 0; bit--) {
        const next = nodes[node]![(nibble >> bit) & 1]!
        if (next >= 0) node = next
        else {
          const symbol = -1 - next
          entry = symbol === EOS ? IS_BAD : (symbol << 9) | HAS_SYMBOL
          node = 0
        }
      }
      if (endings.has(node)) entry |= MAY_END
      steps[from * 16 + nibble] = entry | node
    }
  }
  return steps
}

let scratch = Buffer.allocUnsafeSlow(4096)

/** The text, one character per byte; null when the bytes are no such code. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | null {
  // No code is shorter than five bits.
  const most = Math.ceil(((end - start) * 8) / 5)
  if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(most)
  let length = 0
  let entry = MAY_END
  for (let pos = start; pos < end; pos++) {
    const byte = bytes[pos]!
    entry = STEPS[(entry & 511) * 16 + (byte >> 4)]!
    if ((entry & (HAS_SYMBOL | IS_BAD)) !== 0) {
      if ((entry & IS_BAD) !== 0) return null
      scratch[length++] = (entry >> 9) & 255
    }
    entry = STEPS[(entry & 511) * 16 + (byte & 15)]!
    if ((entry & (HAS_SYMBOL | IS_BAD)) !== 0) {
      if ((entry & IS_BAD) !== 0) return null
      scratch[length++] = (entry >> 9) & 255
    }
  }
  return (entry & MAY_END) === 0 ? null : scratch.latin1Slice(0, length)
}

/** The bytes of a text in this code: what tests compare with. */
export function encodeHuffman(text: string): Buffer {
  const codes = canonicalCodes()
  let bits = ''
  for (const char of Buffer.from(text, 'latin1')) bits += codes[char]!.toString(2).padStart(LENGTHS[char]!, '0')
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1')
  return Buffer.from(Array.from({ length: bits.length / 8 }, (_, n) => parseInt(bits.slice(n * 8, n * 8 + 8), 2)))
}
