import { createHash } from 'node:crypto'

/** SHA-1 over a password and what salts it, in hex: Kong's format of the passwords of basic-auth, which clients copy between gateways. */
export function saltedDigest(password: string | Buffer, salt: string): string {
  return createHash('sha1').update(password).update(salt).digest('hex')
}
