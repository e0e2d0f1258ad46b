/**
 * Texts that a client keeps for us and can neither read nor change: AES-256-GCM under a key that HKDF (RFC 5869) derives from a
 * secret, another one for each text, so that no nonce can come twice with one key.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const VERSION = 1
const SALT_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + SALT_BYTES + NONCE_BYTES

export class TextSeal {
  readonly #secrets: readonly string[]
  readonly #purpose: Buffer

  /**
   * @param secrets one a line: the first seals, all open, so that a secret can be exchanged without ending what is sealed
   * @param purpose what is sealed for one purpose can't be opened for another
   */
  constructor(secrets: string, purpose: string) {
    this.#secrets = secrets
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
    if (this.#secrets.length === 0) throw new Error('expected a secret, got an empty text')
    this.#purpose = Buffer.from(purpose)
  }

  /** Base64url. */
  seal(text: string): string {
    const salt = randomBytes(SALT_BYTES)
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key(this.#secrets[0]!, salt), nonce)
    cipher.setAAD(this.#purpose)
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return Buffer.concat([Buffer.of(VERSION), salt, nonce, sealed, cipher.getAuthTag()]).toString('base64url')
  }

  /** Null when it was not sealed by one of the secrets for this purpose, or was changed. */
  open(sealed: string): string | null {
    if (!/^[A-Za-z0-9_-]+$/.test(sealed)) return null
    const bytes = Buffer.from(sealed, 'base64url')
    if (bytes.length < HEAD_BYTES + TAG_BYTES || bytes[0] !== VERSION) return null
    for (const secret of this.#secrets) {
      const text = this.#openWith(secret, bytes)
      if (text !== null) return text
    }
    return null
  }

  #openWith(secret: string, bytes: Buffer): string | null {
    const key = this.#key(secret, bytes.subarray(1, 1 + SALT_BYTES))
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

  #key(secret: string, salt: Buffer): Buffer {
    return Buffer.from(hkdfSync('sha256', secret, salt, this.#purpose, 32))
  }
}
