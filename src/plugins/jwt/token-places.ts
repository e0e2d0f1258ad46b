/** Where a request carries its token. */
import { FieldName, type Exchange } from '#pdk'
import { findArg, parseArgs, SEVERAL, type ArgValue } from '#pdk/form.ts'
import { toWire } from '#pdk/wire-text.ts'

export interface TokenPlaces {
  /** Names of query arguments, as wire texts. */
  readonly args: readonly string[]
  readonly cookies: readonly string[]
  readonly headers: readonly FieldName[]
}

export interface TokenPlaceNames {
  readonly args: readonly string[] | null
  readonly cookies: readonly string[] | null
  readonly headers: readonly string[] | null
}

const COOKIE = new FieldName('Cookie')

export function tokenPlaces(names: TokenPlaceNames): TokenPlaces {
  return {
    args: (names.args ?? []).map(toWire),
    cookies: (names.cookies ?? []).map(toWire),
    headers: (names.headers ?? []).map((name) => new FieldName(name)),
  }
}

/** Every different token of the request; `true` is an argument without a value. */
export function findTokens({ request }: Exchange, places: TokenPlaces): Set<ArgValue> {
  const tokens = new Set<ArgValue>()
  for (const name of places.args) {
    const value = findArg(request.query, name)
    if (value === SEVERAL) for (const one of parseArgs(request.query).get(name)!) addToken(tokens, one)
    else addToken(tokens, value)
  }
  if (places.cookies.length > 0) {
    const header = COOKIE.getAll(request.headers).join(';')
    for (const name of places.cookies) addToken(tokens, cookieValue(header, name))
  }
  for (const field of places.headers) addToken(tokens, bearerToken(field.get(request.headers)))
  return tokens
}

function addToken(tokens: Set<ArgValue>, value: ArgValue | null): void {
  if (value !== null && value !== '') tokens.add(value)
}

function bearerToken(header: string | null): string | null {
  return header === null ? null : (/^\s*[Bb]earer\s+(\S.*)$/.exec(header)?.[1] ?? null)
}

/** The first cookie with this name (RFC 6265 5.4). */
function cookieValue(header: string, name: string): string | null {
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return null
}
