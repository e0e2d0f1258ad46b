/** Changes to messages of HTTP/1 that parsers have been known to take differently. */

/** Numbers in [0, 1) that follow from the seed alone (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const BYTES = '\r\n\t \0\x01\x0b\x0c\x7f\x80\xa0\xff:;,=+-_.*/?#%@[]"\'\\()<>0123456789afAFxHGTzZ'
const PIECES = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\n\n',
  '\r',
  '\r\n ',
  '\r\n\t',
  ' \r\n',
  'Content-Length: 3\r\n',
  'Content-Length: 0\r\n',
  'content-length:5\r\n',
  'Content-Length : 3\r\n',
  'Content-Length: 3, 3\r\n',
  'Content-Length: +3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: Chunked \r\n',
  'Transfer-Encoding: chunked, chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Transfer-Encoding:\tchunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer_Encoding: chunked\r\n',
  'X.Dropped: v\r\n',
  'X-Empty:\r\n',
  'Host: b\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive, X-Other\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Expect: 100-continue\r\n',
  'HTTP/1.0',
  'HTTP/1.1',
  'HTTP/1.2',
  'HTTP/2.0',
  'http://a/',
  'http://b/',
  '0\r\n\r\n',
  '0\r\nX-T: v\r\n\r\n',
  '3\r\nabc\r\n',
  '3;ext="a b"\r\nabc\r\n',
  '00003\r\nabc\r\n',
  'FFFFFFFFFFFFFFFF\r\n',
  ';x',
  ';x="\\"\r\n"',
  '0x',
]

/** One to six changes to a text of the corpus. */
export function mutate(corpus: readonly string[], random: () => number): string {
  const below = (n: number) => Math.floor(random() * n)
  const pick = <T>(list: ArrayLike<T>): T => list[below(list.length)]!
  let text = pick(corpus)
  // Some stay as they are: both sides have to agree on these, too.
  for (let changes = below(7); changes > 0; changes--) {
    const at = below(text.length + 1)
    const lines = text.split('\r\n')
    switch (below(9)) {
      case 0:
        text = text.slice(0, at) + pick(BYTES) + text.slice(at + 1)
        break
      case 1:
        text = text.slice(0, at) + pick(BYTES) + text.slice(at)
        break
      case 2:
        text = text.slice(0, at) + text.slice(at + 1 + below(3))
        break
      case 3:
        text = text.slice(0, at) + pick(PIECES) + text.slice(at)
        break
      case 4:
      case 5: {
        // Where a line begins, which is where most pieces mean something.
        const line = below(lines.length)
        text = [...lines.slice(0, line), pick(PIECES) + (lines[line] ?? ''), ...lines.slice(line + 1)].join('\r\n')
        break
      }
      case 6: {
        const line = below(lines.length)
        text = [...lines.slice(0, line), lines[line] ?? '', ...lines.slice(line)].join('\r\n')
        break
      }
      case 7: {
        const line = below(lines.length)
        lines.splice(line, 1)
        text = lines.join('\r\n')
        break
      }
      case 8:
        text += pick(corpus)
        break
    }
  }
  return text
}

/** The text as bytes in one to four pieces. */
export function cutUp(text: string, random: () => number): Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  const pieces: Buffer[] = []
  let from = 0
  for (let cuts = Math.floor(random() * 4); cuts > 0 && from < bytes.length; cuts--) {
    const to = from + 1 + Math.floor(random() * (bytes.length - from))
    pieces.push(bytes.subarray(from, to))
    from = to
  }
  if (from < bytes.length) pieces.push(bytes.subarray(from))
  return pieces
}
