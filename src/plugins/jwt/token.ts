/** JSON Web Tokens in their compact form (RFC 7515 7.1), as text and as what it says. Nothing here is proven yet. */

export interface Token {
  /** What the signature is over. */
  readonly signedText: string
  readonly header: JsonObject
  readonly claims: JsonObject
  readonly signature: Buffer
  readonly algorithm: string
}

export type JsonObject = Readonly<Record<string, unknown>>

/**
 * The token, or in Kong's words what is wrong with it.
 * @param isKnown whether there is such a signature algorithm
 */
export function parseToken(
  text: string,
  isKnown: (algorithm: string) => boolean,
): Token | { readonly problem: string } {
  const first = text.indexOf('.')
  const second = text.indexOf('.', first + 1)
  if (first < 0 || second < 0) return { problem: 'invalid JSON' }
  const header = jsonOf(text.slice(0, first))
  const claims = jsonOf(text.slice(first + 1, second))
  if (!isObject(header) || claims === undefined) return { problem: 'invalid JSON' }
  const algorithm = Object.hasOwn(header, 'alg') ? header['alg'] : null
  if (typeof algorithm !== 'string' || !isKnown(algorithm)) return { problem: 'invalid alg' }
  if (!isObject(claims)) return { problem: 'invalid claims' }
  const signature = decodeBase64(text.slice(second + 1))
  if (signature === null) return { problem: 'invalid signature' }
  return { signedText: text.slice(0, second), header, claims, signature, algorithm }
}

/** The bytes, in either alphabet of RFC 4648 and with or without padding; null for anything else. */
export function decodeBase64(text: string): Buffer | null {
  const digits = /^([A-Za-z0-9_+/-]*)={0,2}$/.exec(text)?.[1]
  // One digit alone has six bits, which is no byte.
  return digits === undefined || digits.length % 4 === 1 ? null : Buffer.from(digits, 'base64')
}

function jsonOf(base64: string): unknown {
  const bytes = decodeBase64(base64)
  if (bytes === null) return undefined
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown
  } catch {
    // A client's mistake, told to it as 'invalid JSON'; where in its token has no reader here.
    return undefined
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
