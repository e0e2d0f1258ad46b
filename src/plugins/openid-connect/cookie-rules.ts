/** Attributes of cookies as the configuration has them, which depend on how the client reaches the gateway. */
import { FieldName, type Exchange } from '#pdk'
import type { CookieAttributes } from '#pdk/cookies.ts'

const FORWARDED_PROTO = new FieldName('X-Forwarded-Proto')

export interface CookieRules {
  readonly name: string
  readonly forHttps: CookieAttributes
  readonly forHttp: CookieAttributes
}

export interface CookieRuleFields {
  readonly name: string
  readonly path: string
  readonly domain: string | null
  readonly sameSite: 'Strict' | 'Lax' | 'None' | 'Default'
  readonly isHttpOnly: boolean
  /** Null: where the client comes over TLS. */
  readonly isSecure: boolean | null
}

export function cookieRules({ name, path, domain, sameSite, isHttpOnly, isSecure }: CookieRuleFields): CookieRules {
  const common = { path, domain, sameSite: sameSite === 'Default' ? null : sameSite, isHttpOnly }
  return {
    name,
    forHttps: { ...common, isSecure: isSecure ?? true },
    forHttp: { ...common, isSecure: isSecure ?? false },
  }
}

export function attributesFor(rules: CookieRules, exchange: Exchange): CookieAttributes {
  return schemeOf(exchange) === 'https' ? rules.forHttps : rules.forHttp
}

/** The scheme that the client uses: a trusted proxy in front says it. */
export function schemeOf({ request }: Exchange): 'http' | 'https' {
  const said = request.isTrusted ? FORWARDED_PROTO.get(request.headers)?.toLowerCase() : null
  return said === 'https' || said === 'http' ? said : request.scheme
}
