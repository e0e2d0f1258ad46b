/** What a client signs, and how it says so (Kong's scheme hmac, after draft-cavage-http-signatures). */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Exchange } from '#pdk'
import { fromWire } from '#pdk/wire-text.ts'

export interface SignatureParameters {
  readonly username: string
  readonly algorithm: string
  /** Names of what is signed, in order, as the client writes them. */
  readonly headers: readonly string[]
  readonly signature: Buffer
}

const PARAMETERS =
  /^\s*[Hh]mac\s*username="([^"]+)",\s*algorithm="([^"]+)",\s*headers="([^"]+)",\s*signature="([^"]+)"\s*$/

const HASHES: ReadonlyMap<string, string> = new Map([
  ['hmac-sha1', 'sha1'],
  ['hmac-sha256', 'sha256'],
  ['hmac-sha384', 'sha384'],
  ['hmac-sha512', 'sha512'],
])

/** Null for another scheme or when one is missing; they come in this order. */
export function parseParameters(header: string | null): SignatureParameters | null {
  const match = header === null ? null : PARAMETERS.exec(header)
  if (!match) return null
  const [, username = '', algorithm = '', headers = '', signature = ''] = match
  return {
    username: fromWire(username),
    algorithm,
    headers: headers.split(' ').filter((name) => name !== ''),
    signature: Buffer.from(signature, 'base64'),
  }
}

export function isSigned(exchange: Exchange, parameters: SignatureParameters, secret: string): boolean {
  const hash = HASHES.get(parameters.algorithm)
  if (hash === undefined) return false
  const expected = createHmac(hash, secret).update(signingText(exchange, parameters.headers), 'latin1').digest()
  return expected.length === parameters.signature.length && timingSafeEqual(expected, parameters.signature)
}

/** The text that is signed, as it travels: one character is one byte. */
function signingText(exchange: Exchange, headers: readonly string[]): string {
  return headers.map((name) => signedLine(exchange, name)).join('\n')
}

/** What is not there is signed as not there, so that nobody can add it. */
function signedLine({ request }: Exchange, name: string): string {
  const { method, rawPath, query, httpVersion } = request
  const target = query === null ? rawPath : `${rawPath}?${query}`
  if (name === '@request-target') return `${name}: ${method.toLowerCase()} ${target}`
  if (name === 'request-line') return `${method} ${target} HTTP/${httpVersion === '2' ? '2.0' : httpVersion}`
  const value = name.toLowerCase() === 'host' ? request.hostHeader : request.headers.get(name)
  return value === null ? `${name}:` : `${name}: ${value}`
}
