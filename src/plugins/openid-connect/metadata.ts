/** What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414), as far as the gateway uses it. */
import type { Claims } from '../identity/claims.ts'

export interface Metadata {
  readonly issuer: string
  readonly jwksUri: URL
  readonly authorizationEndpoint: URL | null
  readonly tokenEndpoint: URL | null
  readonly introspectionEndpoint: URL | null
  readonly userinfoEndpoint: URL | null
  readonly revocationEndpoint: URL | null
  readonly endSessionEndpoint: URL | null
  /** RFC 9207: answers of the provider name it. */
  readonly namesItself: boolean
  readonly clientAuthMethods: readonly string[] | null
}

const DISCOVERY = '/.well-known/openid-configuration'

/** Where the document is; `issuer` may be that address, as Kong takes it. */
export function discoveryUrl(issuer: string): URL {
  return new URL(issuer.endsWith(DISCOVERY) ? issuer : `${issuer.replace(/\/$/, '')}${DISCOVERY}`)
}

/**
 * @param configured the issuer that was asked for; the document has to name it, else one provider could speak for another (Discovery
 * 4.3). Only a slash at the end is nobody's mistake.
 */
export function parseMetadata(json: Claims, configured: string): Metadata | { readonly problem: string } {
  const wanted = configured.endsWith(DISCOVERY) ? configured.slice(0, -DISCOVERY.length) : configured
  const issuer = json['issuer']
  if (typeof issuer !== 'string' || trimmed(issuer) !== trimmed(wanted))
    return { problem: `the discovery document: issuer: expected '${wanted}', got ${shown(issuer)}` }
  const allowsHttp = new URL(wanted).protocol === 'http:'
  const problems: string[] = []
  const address = (name: string, isRequired = false): URL | null => {
    const value = json[name]
    if (value === undefined || value === null) {
      if (isRequired) problems.push(`${name}: required`)
      return null
    }
    const url = endpointOf(value, allowsHttp)
    if (url === null)
      problems.push(`${name}: expected ${allowsHttp ? 'an http or' : 'an'} https address, got ${shown(value)}`)
    return url
  }
  const methods = json['token_endpoint_auth_methods_supported']
  const metadata: Metadata = {
    issuer,
    jwksUri: address('jwks_uri', true)!,
    authorizationEndpoint: address('authorization_endpoint'),
    tokenEndpoint: address('token_endpoint'),
    introspectionEndpoint: address('introspection_endpoint'),
    userinfoEndpoint: address('userinfo_endpoint'),
    revocationEndpoint: address('revocation_endpoint'),
    endSessionEndpoint: address('end_session_endpoint'),
    namesItself: json['authorization_response_iss_parameter_supported'] === true,
    clientAuthMethods: Array.isArray(methods) ? methods.filter((one) => typeof one === 'string') : null,
  }
  return problems.length > 0 ? { problem: `the discovery document: ${problems.join('; ')}` } : metadata
}

/**
 * Only https, unless the operator wrote an issuer with http: what a document says must not make the gateway ask addresses that
 * answer in the clear, as those of metadata services do. No user and password.
 */
function endpointOf(value: unknown, allowsHttp: boolean): URL | null {
  if (typeof value !== 'string' || !URL.canParse(value)) return null
  const url = new URL(value)
  const isAllowed = url.protocol === 'https:' || (allowsHttp && url.protocol === 'http:')
  return isAllowed && url.username === '' && url.password === '' ? url : null
}

function trimmed(issuer: string): string {
  return issuer.replace(/\/$/, '')
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value.slice(0, 200)}'` : typeof value
}
