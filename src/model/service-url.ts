import { shown } from './messages.ts'
import type { Values } from './record.ts'

/**
 * The parts of a service's `url`, split as Kong's URL library splits them: without a check, because each part is checked
 * as the field that it becomes. A null is the text of a Lua null, as in Kong, so that clients see the same refusal.
 */
export function parseServiceUrl(url: unknown): Values {
  const { scheme, host, port, path } = splitUrl(url === null ? 'userdata: NULL' : shown(url))
  const portNumber = port !== null && /^\d+$/.test(port) ? Number(port) : null
  const protocol = scheme ?? (portNumber === 443 ? 'https' : portNumber === 80 ? 'http' : undefined)
  return {
    ...(protocol === undefined ? {} : { protocol }),
    host,
    port: portNumber ?? (protocol === 'https' ? 443 : 80),
    path,
  }
}

export interface UrlParts {
  readonly scheme: string | null
  readonly host: string | null
  readonly port: string | null
  readonly path: string | null
  readonly userinfo: string | null
}

/** Splits any text into the parts of RFC 2396 in the way of LuaSocket's parser; nothing is decoded or refused. */
export function splitUrl(text: string): UrlParts {
  let rest = text
  const take = (pattern: RegExp): string | null => {
    const match = pattern.exec(rest)
    if (match === null) return null
    rest = rest.slice(0, match.index) + rest.slice(match.index + match[0].length)
    return match[1]!
  }
  take(/#(.*)$/s)
  const scheme = take(/^([A-Za-z0-9][A-Za-z0-9+\-.]*):/)
  let authority = take(/^\/\/([^/?]*)/)
  take(/\?(.*)$/s)
  take(/;(.*)$/s)
  const path = rest === '' ? null : rest
  if (authority === null) return { scheme, host: null, port: null, path, userinfo: null }
  const userinfo = /^([^@]*)@/.exec(authority)?.[1] ?? null
  if (userinfo !== null) authority = authority.slice(userinfo.length + 1)
  const port = /:([^:\]]*)$/.exec(authority)?.[1] ?? null
  if (port !== null) authority = authority.slice(0, authority.length - port.length - 1)
  const host = authority === '' ? null : (/^\[(.+)\]$/.exec(authority)?.[1] ?? authority)
  return { scheme, host, port, path, userinfo }
}
