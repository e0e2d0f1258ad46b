/** Kinds of settings whose text has parts of its own: log targets, PEM sources, header buffers, TLS versions, retention. */
import path from 'node:path'
import { accept, expect, type Kind } from './kind.ts'
import { parseDuration, parsePath, parseSize } from './scalars.ts'

/** Where a log is written. */
export type LogPlace =
  | { readonly to: 'stdout' | 'stderr'; readonly format: string | null }
  | { readonly to: 'file'; readonly path: string; readonly format: string | null }

export type LogTarget = { readonly to: 'off' } | LogPlace

const STREAMS: ReadonlyMap<string, 'stdout' | 'stderr'> = new Map([
  ['stdout', 'stdout'],
  ['/dev/stdout', 'stdout'],
  ['/proc/self/fd/1', 'stdout'],
  ['stderr', 'stderr'],
  ['/dev/stderr', 'stderr'],
  ['/proc/self/fd/2', 'stderr'],
])

/** `off`, a path (relative to the prefix), `/dev/stdout` or `/dev/stderr`; the name of a format may follow, as in nginx. */
export function accessLog(formats: readonly string[]): Kind<LogTarget> {
  const place = logPlace(formats)
  return {
    form: `off | ${place.form}`,
    shape: 'text',
    parse: (value, surroundings) => (value === 'off' ? accept({ to: 'off' }) : place.parse(value, surroundings)),
  }
}

/** The log that can't be turned off. */
export const errorLog: Kind<LogPlace> = {
  ...logPlace([]),
  parse(value, surroundings) {
    if (value === 'off') return expect('a path, /dev/stdout or /dev/stderr')
    return logPlace([]).parse(value, surroundings)
  },
}

function logPlace(formats: readonly string[]): Kind<LogPlace> {
  return {
    form: formats.length > 0 ? `path [${formats.join(' | ')}]` : 'path',
    shape: 'text',
    parse(value, { prefix }) {
      const [place = '', format, ...rest] = value.split(/\s+/)
      if (place.startsWith('syslog:')) {
        return expect(
          'a path, /dev/stdout or /dev/stderr',
          'syslog is not written directly, let the system collect the output',
        )
      }
      if (rest.length > 0) return expect('a path and at most one format after it')
      if (format !== undefined && !formats.includes(format)) {
        if (formats.length === 0) return expect('a path alone', 'the level is set by log_level')
        return expect(`one of the formats ${formats.join(', ')} after the path`)
      }
      const stream = STREAMS.get(place)
      if (stream !== undefined) return accept({ to: stream, format: format ?? null })
      const resolved = parsePath(place, prefix)
      return resolved.ok ? accept({ to: 'file', path: resolved.value, format: format ?? null }) : resolved
    },
  }
}

/** Where a certificate or key comes from: Kong takes a path, the PEM text, or that in base64. */
export type PemSource = { readonly path: string } | { readonly pem: string }

export const pemSource: Kind<PemSource> = {
  form: 'path | PEM | base64 of PEM',
  shape: 'text',
  parse(value, { workingFolder }) {
    if (value.includes('-----BEGIN ')) return accept({ pem: value })
    if (/^LS0tLS1CRUdJTi[A-Za-z0-9+/=\s]+$/.test(value))
      return accept({ pem: Buffer.from(value, 'base64').toString('latin1') })
    const resolved = parsePath(value, workingFolder)
    return resolved.ok ? accept({ path: resolved.value }) : resolved
  },
}

export interface HeaderBuffers {
  /** Longest request line. */
  readonly lineBytes: number
  /** Longest header, all lines together. */
  readonly totalBytes: number
}

/** nginx's `number size`: a line fits into one buffer, the whole header into all of them. */
export const headerBuffers: Kind<HeaderBuffers> = {
  form: 'number size',
  shape: 'text',
  parse(value) {
    const [count = '', size = '', ...rest] = value.split(/\s+/)
    const lineBytes = parseSize(size)
    const isValid =
      /^\d{1,3}$/.test(count) && Number(count) > 0 && lineBytes !== null && lineBytes >= 256 && rest.length === 0
    return isValid
      ? accept({ lineBytes, totalBytes: Number(count) * lineBytes })
      : expect('a number and a size of at least 256, such as 4 8k')
  },
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** Versions between spaces or commas. Older ones are left out with a warning (RFC 8996), as long as one remains. */
export const tlsVersions: Kind<readonly TlsVersion[]> = {
  form: 'TLSv1.2 TLSv1.3',
  shape: 'text',
  parse(value) {
    const words = value.split(/[\s,]+/).filter((word) => word !== '')
    const kept: TlsVersion[] = []
    const leftOut: string[] = []
    for (const word of words) {
      if (word === 'TLSv1.2' || word === 'TLSv1.3') {
        if (!kept.includes(word)) kept.push(word)
      } else if (['SSLv3', 'TLSv1', 'TLSv1.1'].includes(word)) leftOut.push(word)
      else return expect('TLSv1.2, TLSv1.3 or both')
    }
    if (kept.length === 0) return expect('TLSv1.2, TLSv1.3 or both; older versions are not served (RFC 8996)')
    return accept(
      kept,
      leftOut.length > 0 ? `${leftOut.join(' and ')} is not served (RFC 8996) and left out` : undefined,
    )
  },
}

export interface Retention {
  readonly revisions: number
  readonly ageMs: number
}

/** `10000 90d`: at least so many revisions, and at least those of this time. */
export const retention: Kind<Retention> = {
  form: 'number time',
  shape: 'text',
  parse(value) {
    const [count = '', age = '0', ...rest] = value.split(/\s+/)
    const ageMs = parseDuration(age)
    const isValid = /^\d{1,9}$/.test(count) && Number(count) > 0 && ageMs !== null && rest.length === 0
    return isValid
      ? accept({ revisions: Number(count), ageMs })
      : expect('a number of revisions and a time, such as 10000 90d')
  },
}

/** The origin of a web page that may use the Admin API: `https://manager.example:8445`. */
export const origin: Kind<string> = {
  form: 'URL',
  shape: 'text',
  parse(value) {
    const url = URL.canParse(value) ? new URL(value) : null
    const isValid = url !== null && (url.protocol === 'http:' || url.protocol === 'https:') && url.username === ''
    return isValid ? accept(url.origin) : expect('an http or https URL')
  },
}

/** A module of an operator's plugin; loaded by Node, so TypeScript or JavaScript. */
export const pluginPath: Kind<string> = {
  form: 'path of a .ts, .mts, .js or .mjs file',
  shape: 'text',
  parse(value, { workingFolder }) {
    if (!['.ts', '.mts', '.js', '.mjs'].includes(path.extname(value)))
      return expect('the path of a .ts, .mts, .js or .mjs file')
    return parsePath(value, workingFolder)
  },
}

/** Which certificate authorities are believed: those of the system, or those in a file. */
export type TrustSource = 'system' | { readonly path: string }

export const trustSource: Kind<TrustSource> = {
  form: 'system | path',
  shape: 'text',
  parse(value, { workingFolder }) {
    if (value === 'system') return accept('system')
    const resolved = parsePath(value, workingFolder)
    return resolved.ok ? accept({ path: resolved.value }) : resolved
  },
}
