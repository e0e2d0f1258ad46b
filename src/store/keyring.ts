/**
 * The keys that seal secrets (AES-256-GCM) and the one by which secrets are looked up (HMAC-SHA-256). The newest key seals, all
 * open, so a key is replaced by adding one. The look-up key is derived from the oldest: it stays when a key is added, and a
 * store that finds it changed builds its look-up rows anew.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto'
import { GatewayError } from '#core/errors.ts'

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
/** 96 random bits, as NIST SP 800-38D 8.2.2 wants: safe for 2^32 sealings with one key. */
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/

export interface Keyring {
  /** Oldest first. */
  readonly ids: readonly string[]
  /** The key that seals. */
  readonly newestId: string
  /** `keyid:base64(nonce, ciphertext, tag)`. The context is what the value belongs to: it opens nowhere else. */
  seal(plain: string, context: string): string
  /** Throws `KEY_MISSING` with the key's id, or `KEY_WRONG`. */
  open(sealed: string, context: string): string
  /** By what a secret is found without being kept: equal for equal values of one context, and tells nothing of the value. */
  lookupKey(plain: string, context: string): string
  /** Tells whether a key of this id is the same as another time, without saying anything about it. */
  checkValue(id: string): string
}

type RandomBytes = (size: number) => Buffer

/** Reads `id:base64` per line (or separated by commas or blanks, as an environment variable has it); `#` starts a comment. */
export function parseKeyring(text: string, randomBytes: RandomBytes): Keyring {
  const keys = new Map<string, Buffer>()
  const entries = text
    .split('\n')
    .map((line) => line.replace(/#.*/, ''))
    .join('\n')
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
  for (const [index, entry] of entries.entries()) {
    const colon = entry.indexOf(':')
    const id = entry.slice(0, Math.max(colon, 0))
    // Messages name the place and the id, never the text: it may be a key.
    if (!KEY_ID.test(id))
      throw invalid(`keyring entry ${index + 1}: expected id:base64 with an id of 1 to 32 letters, digits, - or _`)
    const key = Buffer.from(entry.slice(colon + 1), 'base64')
    if (key.length !== KEY_BYTES)
      throw invalid(`keyring entry ${id}: expected ${KEY_BYTES} bytes in base64, got ${key.length} bytes`)
    if (keys.has(id)) throw invalid(`keyring entry ${id}: the id stands there twice`)
    keys.set(id, key)
  }
  if (keys.size === 0) throw invalid('expected at least one key in the keyring, got none')
  return new Keys(keys, randomBytes)
}

/** The text of a keyring with one new key. */
export function newKeyringText(id: string, randomBytes: RandomBytes): string {
  return `# Opens the secrets in the configuration store. Without this file they are lost: keep a copy apart from the store's backup.\n${id}:${randomBytes(KEY_BYTES).toString('base64')}\n`
}

class Keys implements Keyring {
  readonly ids: readonly string[]
  readonly newestId: string
  readonly #keys: ReadonlyMap<string, Buffer>
  readonly #lookup: Buffer
  readonly #randomBytes: RandomBytes

  constructor(keys: ReadonlyMap<string, Buffer>, randomBytes: RandomBytes) {
    this.ids = [...keys.keys()]
    this.newestId = this.ids.at(-1) as string
    this.#keys = keys
    this.#lookup = derive(this.#key(this.ids[0] as string), 'meridian look-up')
    this.#randomBytes = randomBytes
  }

  seal(plain: string, context: string): string {
    const nonce = this.#randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(CIPHER, this.#key(this.newestId), nonce)
    cipher.setAAD(Buffer.from(`${this.newestId}\0${context}`))
    const bytes = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `${this.newestId}:${bytes.toString('base64')}`
  }

  open(sealed: string, context: string): string {
    const colon = sealed.indexOf(':')
    const id = sealed.slice(0, Math.max(colon, 0))
    const key = this.#key(id)
    const bytes = Buffer.from(sealed.slice(colon + 1), 'base64')
    if (bytes.length < NONCE_BYTES + TAG_BYTES)
      throw new GatewayError('KEY_WRONG', `a value sealed with key "${id}" is cut short`)
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(`${id}\0${context}`))
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
    try {
      const opened = decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES))
      return Buffer.concat([opened, decipher.final()]).toString('utf8')
    } catch (cause) {
      throw new GatewayError('KEY_WRONG', `a value sealed with key "${id}" does not open with the key of that id`, {
        cause,
      })
    }
  }

  lookupKey(plain: string, context: string): string {
    return createHmac('sha256', this.#lookup).update(`${context}\0`).update(plain).digest('base64url')
  }

  checkValue(id: string): string {
    return derive(this.#key(id), 'meridian key check').toString('base64url').slice(0, 22)
  }

  #key(id: string): Buffer {
    const key = this.#keys.get(id)
    if (!key)
      throw new GatewayError(
        'KEY_MISSING',
        `the keyring has no key "${id}", with which stored secrets are sealed; it has ${this.ids.join(', ')}`,
      )
    return key
  }
}

function derive(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', purpose, KEY_BYTES))
}

function invalid(message: string): GatewayError {
  return new GatewayError('KEYRING_INVALID', message)
}
