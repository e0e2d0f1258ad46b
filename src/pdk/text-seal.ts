/**
 * Texts that a client keeps for us and can neither read nor change: AES-256-GCM under a key that HKDF (RFC 5869) derives from a
 * secret, another one for each text, so that no nonce can come twice with one key.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'

const VERSION = 1
/** RFC 5869 2.2: without a salt, zeros of the hash's length. */
const EXTRACT_SALT = Buffer.alloc(32)
const FIRST_BLOCK = Buffer.of(1)
const SALT_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + SALT_BYTES + NONCE_BYTES

export class TextSeal {
  /** HKDF's pseudorandom keys, one for each secret: extracted once, expanded for each text. */
  readonly #extracted: readonly Buffer[]
  readonly #purpose: Buffer

  /**
   * @param secrets one a line: the first seals, all open, so that a secret can be exchanged without ending what is sealed
   * @param purpose what is sealed for one purpose can't be opened for another
   */
  constructor(secrets: string, purpose: string) {
    const lines = secrets
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
    if (lines.length === 0) throw new Error('expected a secret, got an empty text')
    this.#extracted = lines.map((line) => createHmac('sha256', EXTRACT_SALT).update(line).digest())
    this.#purpose = Buffer.from(purpose)
  }

  /** Base64url. */
  seal(text: string): string {
    const salt = randomBytes(SALT_BYTES)
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#expand(this.#extracted[0]!, salt), nonce)
    cipher.setAAD(this.#purpose)
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return Buffer.concat([Buffer.of(VERSION), salt, nonce, sealed, cipher.getAuthTag()]).toString('base64url')
  }

  /** Null when it was not sealed by one of the secrets for this purpose, or was changed. */
  open(sealed: string): string | null {
    if (!/^[A-Za-z0-9_-]+$/.test(sealed)) return null
    const bytes = Buffer.from(sealed, 'base64url')
    if (bytes.length < HEAD_BYTES + TAG_BYTES || bytes[0] !== VERSION) return null
    for (const extracted of this.#extracted) {
      const text = this.#openWith(extracted, bytes)
      if (text !== null) return text
    }
    return null
  }

  #openWith(extracted: Buffer, bytes: Buffer): string | null {
    const key = this.#expand(extracted, bytes.subarray(1, 1 + SALT_BYTES))
    const nonce = bytes.subarray(1 + SALT_BYTES, HEAD_BYTES)
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(this.#purpose)
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    const text = decipher.update(bytes.subarray(HEAD_BYTES, -TAG_BYTES))
    try {
      return Buffer.concat([text, decipher.final()]).toString('utf8')
    } catch {
      // The tag does not fit: another secret, or somebody's own invention. That is an expected answer.
      return null
    }
  }

  /** HKDF-Expand with the purpose and the text's own salt as info: one block is a key. */
  #expand(extracted: Buffer, salt: Buffer): Buffer {
    return createHmac('sha256', extracted).update(this.#purpose).update(salt).update(FIRST_BLOCK).digest()
  }
}
