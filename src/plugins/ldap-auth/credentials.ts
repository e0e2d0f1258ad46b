/** Name and password in a header, in Base64 behind a scheme of the operator's choice. */
import { fromWire } from '#pdk/wire-text.ts'

export interface NamePassword {
  readonly name: string
  readonly password: string
}

/** Escapes what a pattern would read as more than text, and takes the scheme in either case. */
export function headerPattern(scheme: string): RegExp {
  return new RegExp(`^\\s*${RegExp.escape(scheme)}\\s+([A-Za-z0-9+/]+={0,2})\\s*$`, 'i')
}

/**
 * Null for another scheme, what is no Base64, and without a name. Also without a password: LDAP takes a bind with a name and an
 * empty password for an anonymous one, which succeeds (RFC 4513 5.1.2).
 */
export function parseCredentials(pattern: RegExp, header: string | null): NamePassword | null {
  const encoded = header === null ? null : pattern.exec(header)
  if (!encoded) return null
  const text = fromWire(Buffer.from(encoded[1]!, 'base64').latin1Slice())
  const colon = text.indexOf(':')
  if (colon < 1 || colon === text.length - 1) return null
  return { name: text.slice(0, colon), password: text.slice(colon + 1) }
}
