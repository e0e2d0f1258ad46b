/** RFC 9113 3.4: the first line is chosen so that no server of HTTP/1.1 takes it for a request. */
const FIRST_LINE = Buffer.from('PRI * HTTP/2.0\r\n\r\n', 'latin1')

/** Whether a head of HTTP/1.1 that begins at `pos` is the beginning of HTTP/2. */
export function isHttp2Preface(bytes: Buffer, pos: number): boolean {
  const end = pos + FIRST_LINE.length
  // Comparing throws where there are fewer bytes.
  return end <= bytes.length && FIRST_LINE.compare(bytes, pos, end) === 0
}
