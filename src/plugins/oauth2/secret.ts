/** Secrets of clients, as they are stored: plain, or as a PBKDF2 hash in the PHC string format. */
import { pbkdf2, timingSafeEqual } from 'node:crypto'

/** Hashes that are computed at one time: each costs some milliseconds of a core, which who asks has not paid for. */
const MOST_AT_ONCE = 64
/** No stored hash may cost more; a hundred times what is made here. */
const MOST_ITERATIONS = 1_000_000
const MOST_BYTES = 128

let running = 0

/** Null: too many are being checked, so this one was not. */
export function isSecret(stored: string, isHashed: boolean, given: string): boolean | Promise<boolean | null> {
  return isHashed ? matchesHash(stored, given) : isSame(stored, given)
}

/** Compares in a time that does not tell where two texts differ. */
export function isSame(expected: string, given: string): boolean {
  const one = Buffer.from(expected)
  const other = Buffer.from(given)
  return one.length === other.length && timingSafeEqual(one, other)
}

async function matchesHash(stored: string, given: string): Promise<boolean | null> {
  const hash = parseHash(stored)
  if (hash === null) return false
  if (running >= MOST_AT_ONCE) return null
  running++
  try {
    return timingSafeEqual(hash.digest, await derive(given, hash))
  } finally {
    running--
  }
}

interface Hash {
  readonly algorithm: string
  readonly iterations: number
  readonly salt: Buffer
  readonly digest: Buffer
}

/** `$pbkdf2-sha512$i=10000,l=32$SALT$HASH`; null for anything else. */
export function parseHash(stored: string): Hash | null {
  const found = /^\$pbkdf2-(sha1|sha256|sha512)\$i=(\d{1,7}),l=(\d{1,3})\$([A-Za-z0-9+/]*)\$([A-Za-z0-9+/]+)$/.exec(
    stored,
  )
  if (found === null) return null
  const [, algorithm, iterations, length, salt, digest] = found as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  const hash = {
    algorithm,
    iterations: Number(iterations),
    salt: Buffer.from(salt, 'base64'),
    digest: Buffer.from(digest, 'base64'),
  }
  const isSound =
    hash.iterations > 0 &&
    hash.iterations <= MOST_ITERATIONS &&
    hash.digest.length === Number(length) &&
    hash.digest.length <= MOST_BYTES
  return isSound ? hash : null
}

function derive(secret: string, { algorithm, iterations, salt, digest }: Hash): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pbkdf2(secret, salt, iterations, digest.length, algorithm, (error, key) => (error ? reject(error) : resolve(key)))
  })
}
