/** The configurations of the plugin `acme`, as far as getting certificates goes by them. */
import { createHostMatcher } from '#core/host-patterns.ts'
import type { Change } from '#model/document.ts'
import { ACME_PLUGIN, type ChallengeType } from '#pdk/acme-challenges.ts'

/** As in the plugin's schema. */
export interface AcmeConfig {
  readonly account_email: string
  readonly account_key?: { readonly key_id: string; readonly key_set?: string | null } | null
  readonly api_uri: string
  readonly tos_accepted: boolean
  readonly eab_kid?: string | null
  readonly eab_hmac_key?: string | null
  readonly cert_type: 'rsa' | 'ecc'
  readonly rsa_key_size: number
  readonly renew_threshold_days: number
  readonly domains?: readonly string[] | null
  readonly allow_any_domain: boolean
  readonly fail_backoff_minutes: number
  readonly preferred_chain?: string | null
  readonly challenge: ChallengeType
}

export interface AcmeInstance {
  readonly id: string
  readonly workspace: string
  readonly config: AcmeConfig
}

/** Those that are enabled. */
export function acmeInstances(plugins: readonly Pick<Change, 'workspace' | 'document'>[]): AcmeInstance[] {
  return plugins.flatMap(({ workspace, document }) =>
    document?.['name'] === ACME_PLUGIN && document['enabled'] !== false
      ? [{ id: document.id, workspace, config: document['config'] as AcmeConfig }]
      : [],
  )
}

/** The first that may get certificates for the name. */
export function instanceFor(instances: readonly AcmeInstance[], name: string): AcmeInstance | undefined {
  return instances.find(({ config }) => mayHave(config, name))
}

export function mayHave({ allow_any_domain: isAny, domains }: AcmeConfig, name: string): boolean {
  return isAny || createHostMatcher(domains ?? [])(name)
}
