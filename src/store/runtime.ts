/** How the runtime stores keep a value: under a hash of its key, sealed, so that neither a file nor a trace shows a token. */
import type { Keyring } from './keyring.ts'

export class RuntimeSeal {
  readonly #keyring: Keyring

  constructor(keyring: Keyring) {
    this.#keyring = keyring
  }

  keyOf(space: string, key: string): string {
    return this.#keyring.lookupKey(key, `runtime\0${space}`)
  }

  seal(space: string, hashedKey: string, value: unknown): string {
    return this.#keyring.seal(JSON.stringify(value), context(space, hashedKey))
  }

  open(space: string, hashedKey: string, sealed: string): unknown {
    return JSON.parse(this.#keyring.open(sealed, context(space, hashedKey)))
  }
}

function context(space: string, hashedKey: string): string {
  return `runtime\0${space}\0${hashedKey}`
}
