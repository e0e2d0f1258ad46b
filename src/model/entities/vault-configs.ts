/** What the `config` of a vault entity holds, by the vault's kind. */
import type { Check, Field, Fields } from '../field.ts'
import { t } from '../schema.ts'

/** How long a value is taken for true before it is read again, seconds; without it, it is read twice a second. */
const times = {
  ttl: t.number({ gt: 0 }),
  neg_ttl: t.number({ gt: 0 }),
  resurrect_ttl: t.number({ gt: 0 }),
}

function config(fields: Fields, checks: readonly Check[] = []): Field {
  return t.record(fields, { required: true, checks })
}

function needs(method: string, field: string): Check {
  return {
    rule: 'conditional',
    if_field: 'auth_method',
    if_match: { eq: method },
    then_field: field,
    then_match: { required: true },
  }
}

export const vaultConfigs: ReadonlyMap<string, Field> = new Map<string, Field>([
  ['env', config({ prefix: t.string({ match: '^[A-Za-z_-][A-Za-z0-9_-]*$' }) })],
  // Ours: Kong has none for files.
  ['file', config({ prefix: t.string({ match: '^[A-Za-z0-9_./-]+$' }), ...times })],
  // The fields are those of Kong's vault for HashiCorp's, as far as they are served.
  [
    'hcv',
    config(
      {
        protocol: t.string({ one_of: ['http', 'https'], default: 'http' }),
        host: t.host({ required: true, default: '127.0.0.1' }),
        port: t.port({ required: true, default: 8200 }),
        mount: t.string({ required: true, default: 'secret' }),
        kv: t.string({ one_of: ['v1', 'v2'], default: 'v1' }),
        namespace: t.string(),
        auth_method: t.string({ one_of: ['token', 'kubernetes', 'approle'], default: 'token' }),
        token: t.string({ encrypted: true, referenceable: true }),
        kube_role: t.string(),
        kube_auth_path: t.string(),
        kube_api_token_file: t.string(),
        approle_auth_path: t.string(),
        approle_role_id: t.string(),
        approle_secret_id: t.string({ encrypted: true, referenceable: true }),
        ...times,
      },
      [needs('token', 'token'), needs('approle', 'approle_role_id'), needs('approle', 'approle_secret_id')],
    ),
  ],
])
