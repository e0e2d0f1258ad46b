/** What a client says in a header of the scheme Basic (RFC 7617). */
import { fromWire } from '#pdk/wire-text.ts'

export interface UserPassword {
  readonly username: string
  /** The bytes that came: they are hashed, and need not be text. */
  readonly password: Buffer
}

/** Null for another scheme, for what is no base64, and without a name. As in Kong only the scheme's first letter may be in either case. */
export function parseUserPassword(header: string | null): UserPassword | null {
  const encoded = header === null ? null : /^[Bb]asic *([A-Za-z0-9+/]+={0,2})$/.exec(header.trim())
  if (!encoded) return null
  const bytes = Buffer.from(encoded[1]!, 'base64')
  const colon = bytes.indexOf(58)
  if (colon < 1) return null
  return { username: fromWire(bytes.latin1Slice(0, colon)), password: bytes.subarray(colon + 1) }
}
