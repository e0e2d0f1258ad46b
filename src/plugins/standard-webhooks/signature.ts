/** Signatures of webhooks as https://www.standardwebhooks.com has them, version 1. */
import { createHmac, timingSafeEqual } from 'node:crypto'

const SECRET_PREFIX = 'whsec_'

/** The key that a secret stands for: `whsec_` and base64, as senders show it, or the text itself. Null for what is none. */
export function keyOf(secret: string): Buffer | null {
  if (!secret.startsWith(SECRET_PREFIX)) return secret === '' ? null : Buffer.from(secret)
  const text = secret.slice(SECRET_PREFIX.length)
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : null
}

/** Whether one of the signatures, which stand apart by blanks, is of version 1 and right. `id` is as it came, a byte for each character. */
export function isSigned(key: Buffer, id: string, timestamp: string, body: Buffer, signatures: string): boolean {
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.`, 'latin1').update(body).digest('base64')
  const expected = Buffer.from(`v1,${mac}`)
  // All are compared: how long it takes says nothing of which one fits.
  let isFound = false
  for (const signature of signatures.split(' ')) {
    const given = Buffer.from(signature, 'latin1')
    if (given.length === expected.length && timingSafeEqual(given, expected)) isFound = true
  }
  return isFound
}

/** Unix seconds in a header: digits only. Null for anything else. */
export function parseTimestamp(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null
}
