/** Configurations that could not work, or would let in whom nobody means. */
import type { Config } from './schema.ts'

type Refusal = { readonly field: string; readonly message: string }

export function refusalOf(config: Config): Refusal | null {
  const { auth_methods: methods, client_auth, client_jwk, client_secret, scopes } = config
  const hasClient = (config.client_id?.length ?? 0) > 0
  const logsIn = methods.includes('authorization_code') && hasClient
  if (logsIn && !scopes.includes('openid'))
    return { field: 'scopes', message: "expected 'openid' among them, because authorization_code needs an ID token" }
  const auth = client_auth?.[0]
  if (auth === 'private_key_jwt' && (client_jwk?.length ?? 0) === 0)
    return { field: 'client_jwk', message: 'required with client_auth private_key_jwt' }
  if (auth?.startsWith('client_secret') === true && (client_secret?.length ?? 0) === 0)
    return { field: 'client_secret', message: `required with client_auth ${auth}` }
  const secret = client_secret?.[0] ?? ''
  // How long one in a vault is can't be seen here.
  if (config.enable_hs_signatures && secret.length < 32 && !secret.startsWith('{vault://'))
    return { field: 'client_secret', message: 'expected at least 32 characters with enable_hs_signatures' }
  return badAddress(config) ?? badPairs(config) ?? badLogout(config, hasClient)
}

/** What is asked over TLS stays so; an issuer with http is the operator's own word. */
function badAddress(config: Config): Refusal | null {
  if (!config.issuer.startsWith('https:')) return null
  const named: readonly (readonly [string, readonly string[]])[] = [
    ['issuers_allowed', config.issuers_allowed ?? []],
    ['extra_jwks_uris', config.extra_jwks_uris ?? []],
    ['token_endpoint', config.token_endpoint === null ? [] : [config.token_endpoint]],
    ['introspection_endpoint', config.introspection_endpoint === null ? [] : [config.introspection_endpoint]],
    ['userinfo_endpoint', config.userinfo_endpoint === null ? [] : [config.userinfo_endpoint]],
    ['revocation_endpoint', config.revocation_endpoint === null ? [] : [config.revocation_endpoint]],
  ]
  const field = named.find(([, urls]) => urls.some((url) => !url.startsWith('https:')))?.[0]
  return field === undefined ? null : { field, message: 'expected https, as the issuer has' }
}

function badPairs(config: Config): Refusal | null {
  const lists = [
    [
      'upstream_headers_names',
      config.upstream_headers_names,
      config.upstream_headers_claims,
      'upstream_headers_claims',
    ],
    ['token_post_args_values', config.token_post_args_values, config.token_post_args_names, 'token_post_args_names'],
    [
      'authorization_query_args_values',
      config.authorization_query_args_values,
      config.authorization_query_args_names,
      'authorization_query_args_names',
    ],
  ] as const
  for (const [field, one, other, name] of lists) {
    if ((one?.length ?? 0) !== (other?.length ?? 0))
      return { field, message: `expected as many as ${name} has: ${other?.length ?? 0}, got ${one?.length ?? 0}` }
  }
  return null
}

function badLogout(config: Config, hasClient: boolean): Refusal | null {
  if (config.backchannel_logout_path !== null && !hasClient)
    return { field: 'client_id', message: 'required with backchannel_logout_path' }
  if (config.backchannel_logout_path !== null && config.backchannel_logout_path === config.frontchannel_logout_path)
    return { field: 'frontchannel_logout_path', message: 'expected another path than backchannel_logout_path' }
  return null
}
