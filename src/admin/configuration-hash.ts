/** The hash of the declarative configuration that a gateway without a database runs from: what `check_hash` compares. */
import { createHash } from 'node:crypto'

/** Kong's hash of no configuration. */
export const EMPTY_HASH = '0'.repeat(32)

export interface ConfigurationHash {
  /** 32 hexadecimal digits. */
  current(): string
  set(hash: string): void
}

export function createConfigurationHash(): ConfigurationHash {
  let hash = EMPTY_HASH
  return {
    current: () => hash,
    set: (next) => {
      hash = next
    },
  }
}

/** The hash of a configuration as it was given: equal texts have equal hashes. */
export function hashConfiguration(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, EMPTY_HASH.length)
}
