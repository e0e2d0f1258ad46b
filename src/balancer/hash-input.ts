/** What consistent hashing hashes: the value that the upstream's `hash_on` names, else that of `hash_fallback`. */
import type { Upstream } from '#model/entities/upstream.ts'

/** The part of an exchange that a value can come from. */
export interface HashableExchange {
  readonly request: {
    readonly headers: { getAll(name: string): string[] }
    readonly clientIp: string
    readonly path: string
    readonly query: string | null
  }
  readonly consumer: { readonly id: string } | null
  readonly credential: { readonly id: string } | null
  readonly captures: {
    readonly named: Readonly<Record<string, string>>
    /** The first group is at 0. */
    readonly unnamed: readonly string[]
  } | null
  readonly shared: Map<string, unknown>
}

/** The value, or null when the request has none. Gives the same again for a second try of the same exchange. */
export type HashInput = (exchange: HashableExchange) => string | null

/** The header by which a client without the cookie of `hash_on: cookie` is given one; null when it needs none. */
export function stickyCookieOf(exchange: Pick<HashableExchange, 'shared'>): string | null {
  return (exchange.shared.get(STICKY_COOKIE) as StickyCookie | undefined)?.header ?? null
}

/** Made once per configuration. Null when nothing is hashed, so that requests are spread. */
export function compileHashInput(upstream: Upstream, uuid: () => string): HashInput | null {
  const first = compileSource(upstream.hash_on, upstream, 'hash_on', uuid)
  const fallback = compileSource(upstream.hash_fallback, upstream, 'hash_fallback', uuid)
  if (first === null || fallback === null) return first
  return (exchange) => first(exchange) ?? fallback(exchange)
}

const STICKY_COOKIE = 'balancer.sticky_cookie'

interface StickyCookie {
  readonly value: string
  readonly header: string
}

type Prefix = 'hash_on' | 'hash_fallback'

function compileSource(
  source: Upstream['hash_on'],
  upstream: Upstream,
  prefix: Prefix,
  uuid: () => string,
): HashInput | null {
  switch (source) {
    case null:
    case 'none':
      return null
    case 'consumer':
      return ({ consumer, credential }) => consumer?.id ?? credential?.id ?? null
    case 'ip':
      return ({ request }) => request.clientIp
    case 'path':
      return ({ request }) => request.path
    case 'header': {
      const name = upstream[`${prefix}_header`] ?? ''
      return ({ request }) => {
        const values = request.headers.getAll(name)
        return values.length === 0 ? null : values.join(', ')
      }
    }
    case 'cookie': {
      const name = upstream.hash_on_cookie ?? ''
      const path = upstream.hash_on_cookie_path ?? '/'
      return (exchange) =>
        findCookie(exchange.request.headers.getAll('cookie'), name) ?? makeCookie(exchange, name, path, uuid)
    }
    case 'query_arg': {
      const name = upstream[`${prefix}_query_arg`] ?? ''
      return ({ request }) => findArgument(request.query, name)
    }
    case 'uri_capture': {
      const name = upstream[`${prefix}_uri_capture`] ?? ''
      const index = /^\d+$/.test(name) ? Number(name) - 1 : -1
      return ({ captures }) => {
        if (captures === null) return null
        return Object.hasOwn(captures.named, name) ? captures.named[name]! : (captures.unnamed[index] ?? null)
      }
    }
  }
}

function findCookie(fields: readonly string[], name: string): string | null {
  for (const field of fields) {
    for (const pair of field.split(';')) {
      const equals = pair.indexOf('=')
      if (equals >= 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
    }
  }
  return null
}

/** A client without the cookie gets one; kept with the exchange, so that its next try hashes the same value. */
function makeCookie({ shared }: HashableExchange, name: string, path: string, uuid: () => string): string {
  let cookie = shared.get(STICKY_COOKIE) as StickyCookie | undefined
  if (cookie === undefined) {
    const value = uuid()
    // Kong's spelling of SameSite; browsers ignore it, and Lax is what they take for a cookie that says nothing.
    cookie = { value, header: `${name}=${value}; Path=${path}; Same-Site=Lax; HttpOnly` }
    shared.set(STICKY_COOKIE, cookie)
  }
  return cookie.value
}

/** Arguments are read as nginx reads them: an argument without '=' is `true`, several are sorted and joined by a comma. */
function findArgument(query: string | null, name: string): string | null {
  if (query === null) return null
  let values: string[] | null = null
  for (const argument of query.split('&')) {
    const equals = argument.indexOf('=')
    const key = equals < 0 ? argument : argument.slice(0, equals)
    if (key === '' || unescapeArgument(key) !== name) continue
    ;(values ??= []).push(equals < 0 ? 'true' : unescapeArgument(argument.slice(equals + 1)))
  }
  return values === null ? null : values.toSorted().join(',')
}

/** One character per byte, because bytes are what is hashed. */
function unescapeArgument(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
