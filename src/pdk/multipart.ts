/** Bodies of type multipart/form-data (RFC 7578), whole and in memory. Texts are wire texts; parts nobody changed go on byte by byte. */

export interface Part {
  /** The name parameter of Content-Disposition; null when it has none. */
  readonly name: string | null
  /** Header lines, each with its CRLF. */
  readonly head: string
  readonly body: string
}

export interface Multipart {
  readonly boundary: string
  parts: Part[]
}

/** Null when the content type has no boundary, or the bytes don't keep to it. */
export function parseMultipart(bytes: Buffer, contentType: string): Multipart | null {
  const boundary = boundaryOf(contentType)
  if (boundary === null) return null
  // With a line end in front, the first delimiter looks like the others (RFC 2046 5.1.1).
  const text = '\r\n' + bytes.toString('latin1')
  const delimiter = '\r\n--' + boundary
  const parts: Part[] = []
  let at = text.indexOf(delimiter)
  while (at >= 0) {
    const lineStart = at + delimiter.length
    if (text.startsWith('--', lineStart)) return { boundary, parts }
    const lineEnd = text.indexOf('\r\n', lineStart)
    if (lineEnd < 0 || /[^ \t]/.test(text.slice(lineStart, lineEnd))) return null
    const next = text.indexOf(delimiter, lineEnd)
    if (next < 0) return null
    const part = parsePart(text.slice(lineEnd + 2, next))
    if (part === null) return null
    parts.push(part)
    at = next
  }
  return null
}

/** An empty form with the boundary of the content type. */
export function emptyMultipart(contentType: string): Multipart | null {
  const boundary = boundaryOf(contentType)
  return boundary === null ? null : { boundary, parts: [] }
}

export function encodeMultipart({ boundary, parts }: Multipart): Buffer {
  let text = ''
  for (const { head, body } of parts) text += `--${boundary}\r\n${head}\r\n${body}\r\n`
  return Buffer.from(`${text}--${boundary}--\r\n`, 'latin1')
}

/** A part that is a plain field. */
export function fieldPart(name: string, body: string): Part {
  return { name, head: `Content-Disposition: form-data; name="${escapeName(name)}"\r\n`, body }
}

/** The same part under another name, with its file name and type. */
export function renamedPart(part: Part, name: string): Part {
  return {
    name,
    head: part.head.replace(NAME, (_, before: string) => `${before}name="${escapeName(name)}"`),
    body: part.body,
  }
}

const NAME = /^(content-disposition:[^\r\n]*?[;\s])name=(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s;"]+))/im

function parsePart(text: string): Part | null {
  // A part may have no header at all, and then begins with the empty line.
  const headEnd = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n') + 2
  if (headEnd === 1) return null
  const head = text.slice(0, headEnd)
  const match = NAME.exec(head)
  const name = match === null ? null : (match[2]?.replace(/\\(.)/g, '$1') ?? match[3] ?? null)
  return { name, head, body: text.slice(headEnd + 2) }
}

function boundaryOf(contentType: string): string | null {
  const match = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType)
  return match?.[1] ?? match?.[2] ?? null
}

/** As browsers write names (WHATWG HTML, multipart form data), so that none ends its own line. */
function escapeName(name: string): string {
  return name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22')
}
