/** The types of content that gRPC-Web has, and what each says of the body. */

export interface Content {
  /** As the client said it, for the response. */
  readonly type: string
  /** Base64, for browsers that can't read bytes as they come. */
  readonly isText: boolean
  /** Messages are JSON, to be translated. */
  readonly isJson: boolean
  /** Messages stand in frames, with trailers behind them; else the body is one JSON message. */
  readonly isFramed: boolean
}

const CONTENTS: ReadonlyMap<string, Omit<Content, 'type'>> = new Map([
  ['application/grpc-web', { isText: false, isJson: false, isFramed: true }],
  ['application/grpc-web+proto', { isText: false, isJson: false, isFramed: true }],
  ['application/grpc-web-text', { isText: true, isJson: false, isFramed: true }],
  ['application/grpc-web-text+proto', { isText: true, isJson: false, isFramed: true }],
  ['application/grpc-web+json', { isText: false, isJson: true, isFramed: true }],
  ['application/grpc-web-text+json', { isText: true, isJson: true, isFramed: true }],
  ['application/json', { isText: false, isJson: true, isFramed: false }],
])

/** Null for any other type. */
export function contentOf(type: string | null): Content | null {
  if (type === null) return null
  const known = CONTENTS.get(type.split(';', 1)[0]!.trim().toLowerCase())
  return known === undefined ? null : { type, ...known }
}

/** A body in base64, whose parts may each have been padded by themselves; null when it is none. */
export function decodeText(body: Buffer): Buffer | null {
  const text = body.toString('latin1')
  const parts: Buffer[] = []
  let from = 0
  while (from < text.length) {
    const padding = text.indexOf('=', from)
    let end = padding < 0 ? text.length : padding
    const part = text.slice(from, end)
    while (text.charCodeAt(end) === 61) end++
    if (!BASE64.test(part) || (end - from) % 4 !== 0 || end - from - part.length > 2) return null
    parts.push(Buffer.from(part, 'base64'))
    from = end
  }
  return Buffer.concat(parts)
}

const BASE64 = /^[A-Za-z0-9+/]+$/
