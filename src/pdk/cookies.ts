/** Cookies (RFC 6265): reading what a browser sends, and telling it what to keep. */
import type { HeaderList } from '#http/header-list.ts'
import { FieldName } from './field-name.ts'

const COOKIE = new FieldName('Cookie')
const SET_COOKIE = new FieldName('Set-Cookie')
/** Cookies of one name that are looked at: a browser sends several where paths or domains overlap, the closest first. */
const MOST_OF_A_NAME = 4

export interface CookieAttributes {
  readonly path: string
  readonly domain: string | null
  /** Null: the browser decides. */
  readonly sameSite: 'Strict' | 'Lax' | 'None' | null
  readonly isHttpOnly: boolean
  readonly isSecure: boolean
}

/** The values of this name, at most four, in the order in which they came. */
export function cookieValues(headers: HeaderList, name: string): string[] {
  const values: string[] = []
  for (const header of COOKIE.getAll(headers)) {
    for (const pair of header.split(';')) {
      const equals = pair.indexOf('=')
      if (equals > 0 && pair.slice(0, equals).trim() === name && values.length < MOST_OF_A_NAME)
        values.push(pair.slice(equals + 1).trim())
    }
  }
  return values
}

/** Adds a Set-Cookie to a response; without `maxAgeS` the cookie ends with the browser, with 0 at once. */
export function setCookie(
  headers: HeaderList,
  name: string,
  value: string,
  attributes: CookieAttributes,
  maxAgeS: number | null = null,
): void {
  const { path, domain, sameSite, isHttpOnly, isSecure } = attributes
  const text =
    `${name}=${value}; Path=${path}` +
    (domain === null ? '' : `; Domain=${domain}`) +
    (maxAgeS === null ? '' : `; Max-Age=${Math.max(0, Math.floor(maxAgeS))}`) +
    (sameSite === null ? '' : `; SameSite=${sameSite}`) +
    (isSecure ? '; Secure' : '') +
    (isHttpOnly ? '; HttpOnly' : '')
  SET_COOKIE.append(headers, text)
}

/** Makes the browser forget a cookie. */
export function forgetCookie(headers: HeaderList, name: string, attributes: CookieAttributes): void {
  setCookie(headers, name, '', attributes, 0)
}

/** Takes cookies off a request, so that the upstream does not get what is for the gateway only. */
export function removeCookies(headers: HeaderList, isOurs: (name: string) => boolean): void {
  const values = COOKIE.getAll(headers)
  if (values.length === 0) return
  const pairs = values.flatMap((header) => header.split(';')).map((pair) => pair.trim())
  const kept = pairs.filter((pair) => !isOurs(pair.slice(0, Math.max(0, pair.indexOf('='))).trim()))
  if (kept.length === pairs.length) return
  if (kept.length === 0) COOKIE.remove(headers)
  else COOKIE.set(headers, kept.join('; '))
}
