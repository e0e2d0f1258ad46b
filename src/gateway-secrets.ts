/** The vaults that this node can read. */
import type { Settings } from '#model/settings.ts'
import { isVaultReference, parseVaultReference, readVariable } from '#model/vault-reference.ts'
import { createFileVault } from '#vaults/file-vault.ts'
import { createHttpVault } from '#vaults/http-vault.ts'
import { SecretCache, type SecretCacheOptions } from '#vaults/secret-cache.ts'

export interface SecretsOptions extends Pick<SecretCacheOptions, 'log' | 'onChanged'> {
  readonly settings: Pick<Settings, 'vault_file_folder' | 'keyring_env'>
  readonly environment: Readonly<Record<string, string | undefined>>
}

export function openSecrets({ settings, environment, log, onChanged }: SecretsOptions): SecretCache {
  const follow = (text: string) => {
    if (!isVaultReference(text)) return { value: text }
    const reference = parseVaultReference(text)
    if (reference?.vault !== 'env') return { reason: 'a secret of a vault itself can only stand in the environment' }
    return readVariable(reference, '', environment, settings.keyring_env)
  }
  return new SecretCache({
    vaults: new Map([
      ['file', createFileVault(settings.vault_file_folder)],
      ['hcv', createHttpVault({ nowMs: () => performance.now(), follow })],
    ]),
    nowMs: () => performance.now(),
    log,
    onChanged,
  })
}
