/** Where a request carries a bearer token (RFC 6750 2), and taking it away. */
import { FieldName, type Exchange } from '#pdk'
import { findArg, removeArg, SEVERAL } from '#pdk/form.ts'
import { cookieValues } from '#pdk/cookies.ts'

const AUTHORIZATION = new FieldName('Authorization')
const ARGUMENT = 'access_token'
/** Longer ones are not looked into: what a provider gives out is shorter, and parsing costs. */
export const LONGEST_TOKEN = 16_384

export type TokenPlace = 'header' | 'query' | 'cookie'

export interface FoundToken {
  readonly text: string
  readonly place: TokenPlace
}

/** Null: none. `malformed`: several, or one that can't be a token. */
export function findBearerToken(
  { request }: Exchange,
  places: readonly TokenPlace[],
  cookieName: string | null,
): FoundToken | 'malformed' | null {
  let found: FoundToken | null = null
  for (const place of places) {
    const text =
      place === 'header' ? inHeader(request) : place === 'query' ? inQuery(request) : inCookie(request, cookieName)
    if (text === null) continue
    // RFC 6750 2: a client uses one way, so that nobody behind us reads another token.
    if (text === 'malformed' || found !== null) return 'malformed'
    found = { text, place }
  }
  return found
}

/** Removes the token from what the upstream gets. */
export function hideBearerToken({ request }: Exchange, place: TokenPlace): void {
  if (place === 'header') AUTHORIZATION.remove(request.headers)
  else if (place === 'query') request.query = removeArg(request.query, ARGUMENT)
}

function inHeader({ headers }: Exchange['request']): string | null {
  const values = AUTHORIZATION.getAll(headers).filter((value) => /^bearer\b/i.test(value))
  if (values.length === 0) return null
  // RFC 6750 2.1: b64token.
  const text = values.length === 1 ? /^bearer +([A-Za-z0-9._~+/-]+=*)\s*$/i.exec(values[0]!)?.[1] : undefined
  return checked(text ?? '')
}

function inQuery({ query }: Exchange['request']): string | null {
  const value = findArg(query, ARGUMENT)
  if (value === null) return null
  return value === SEVERAL || value === true ? 'malformed' : checked(value)
}

function inCookie({ headers }: Exchange['request'], name: string | null): string | null {
  const [value] = name === null ? [] : cookieValues(headers, name)
  return value === undefined ? null : checked(value)
}

function checked(text: string): string {
  return text === '' || text.length > LONGEST_TOKEN ? 'malformed' : text
}
