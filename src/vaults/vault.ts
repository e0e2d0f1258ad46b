/** What every kind of vault offers to the reader of references. */
import type { Followed } from '#model/vault-reference.ts'

export interface Vault {
  /**
   * Reads a resource anew: its text, before a member of it is taken. The reason of a failure never shows a secret.
   * @param config the vault entity's `config`, with what the reference says in its query in front.
   * @param version of the resource; null for the newest.
   */
  fetch(config: VaultConfig, resource: string, version: number | null, signal: AbortSignal): Promise<Followed>
}

export type VaultConfig = Readonly<Record<string, unknown>>
