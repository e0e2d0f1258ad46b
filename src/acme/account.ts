/** The account that certificates are ordered with: its key is an entity of the configuration, or made once for all nodes. */
import { FOREVER_MS } from '#pdk'
import { HttpAsker } from '#pdk/ask-http.ts'
import { ACME_PLUGIN } from '#pdk/acme-challenges.ts'
import type { Document } from '#model/document.ts'
import type { RuntimeStore } from '#store/contract.ts'
import { AcmeClient } from './acme-client.ts'
import { generateAccountKey, readAccountKey, type AccountKey } from './account-key.ts'
import type { AcmeConfig } from './configuration.ts'
import { AcmeFailure } from './failure.ts'

const SPACE = `${ACME_PLUGIN}/account`

export interface AccountParts {
  readonly asker: HttpAsker
  readonly runtime: RuntimeStore
  /** Entities that every worker holds, with secrets in place of references. */
  readonly documents: (kind: string) => readonly Document[]
}

/** A client whose account is known to the server. Rejects with `AcmeFailure`. */
export async function openAcmeClient(parts: AccountParts, config: AcmeConfig): Promise<AcmeClient> {
  const client = new AcmeClient(parts.asker, config.api_uri, await accountKey(parts, config))
  const { eab_kid: keyId, eab_hmac_key: macKey } = config
  await client.openAccount({
    email: config.account_email,
    isTosAccepted: config.tos_accepted,
    external: keyId == null || macKey == null ? null : { keyId, macKey },
  })
  return client
}

async function accountKey(parts: AccountParts, config: AcmeConfig): Promise<AccountKey> {
  if (config.account_key != null) return await configuredKey(parts, config.account_key)
  const name = `${config.api_uri} ${config.account_email}`
  const kept = await parts.runtime.get(SPACE, name)
  if (typeof kept === 'string') return await readAccountKey({ pem: kept })
  const made = await generateAccountKey()
  // Of several nodes that make one at once, all use the first.
  const isFirst = await parts.runtime.putIfAbsent(SPACE, name, made, FOREVER_MS)
  const pem = isFirst ? made : await parts.runtime.get(SPACE, name)
  if (typeof pem !== 'string') throw new AcmeFailure('failed', 'the key of the account is gone')
  return await readAccountKey({ pem })
}

async function configuredKey(
  { documents }: AccountParts,
  { key_id: kid, key_set: setName }: NonNullable<AcmeConfig['account_key']>,
): Promise<AccountKey> {
  const set = setName == null ? null : documents('key_sets').find(({ name }) => name === setName)
  const found = documents('keys').find((key) => {
    const inSet = (key['set'] as { readonly id: string } | null | undefined)?.id ?? null
    return key['kid'] === kid && (setName == null || (set !== undefined && inSet === set?.id))
  })
  const pem = (found?.['pem'] as { readonly private_key?: unknown } | null | undefined)?.private_key
  const jwk = found?.['jwk']
  try {
    if (typeof pem === 'string') return await readAccountKey({ pem })
    if (typeof jwk === 'string') return await readAccountKey({ jwk: JSON.parse(jwk) as object })
  } catch (error) {
    throw new AcmeFailure('failed', `account_key: ${(error as Error).message}`)
  }
  throw new AcmeFailure('failed', `account_key: expected a private key with the kid '${kid}' among the keys`)
}
