/** Which origins may read a response: the rules of Kong's cors for `config.origins`. */
import { compileSafeRegex, type SafeRegex } from '#core/pcre.ts'

/** Longer than any origin that a browser sends; keeps what a stranger writes away from the patterns. */
const MAX_ORIGIN_LENGTH = 512

export type AllowedOrigins =
  /** Everybody: the header says `*`. */
  | { readonly kind: 'any' }
  /** One plain origin, which is named whoever asks. */
  | { readonly kind: 'one'; readonly origin: string }
  /** The origin that asks is named when one of these takes it. */
  | { readonly kind: 'listed'; readonly takes: (origin: Origin) => boolean }

export interface Origin {
  /** Without the scheme's default port. */
  readonly text: string
  /** Without scheme and port; the text itself when it is no URL. */
  readonly host: string
}

const PLAIN = /^[A-Za-z0-9.:/-]+$/

export function compileOrigins(origins: readonly string[] | null): AllowedOrigins {
  if (origins === null || origins.length === 0 || origins.includes('*')) return { kind: 'any' }
  if (origins.length === 1 && PLAIN.test(origins[0]!)) return { kind: 'one', origin: origins[0]! }
  const plain = new Set<string>()
  const patterns: { readonly regex: SafeRegex; readonly isForHost: boolean }[] = []
  for (const entry of origins) {
    if (PLAIN.test(entry)) plain.add(parseOrigin(entry).text)
    else {
      // A pattern has to match all of the origin, whether or not its author wrote ^ and $.
      const compiled = compileSafeRegex(`^(?:${entry})$`)
      // Validation refuses what does not compile; where another version stored it, it takes nobody.
      if (compiled.ok) patterns.push({ regex: compiled.regex, isForHost: !entry.includes(':') })
    }
  }
  return {
    kind: 'listed',
    takes: ({ text, host }) =>
      plain.has(text) ||
      (text.length <= MAX_ORIGIN_LENGTH &&
        patterns.some(({ regex, isForHost }) => regex.test(isForHost ? host : text))),
  }
}

export function parseOrigin(text: string): Origin {
  const match = /^(?:([A-Za-z][\w+.-]*):)?\/\/(\[[^\]]*\]|[^/:?#]*)(?::(\d+))?/.exec(text)
  if (match === null || match[2] === '') return { text, host: text }
  const [, scheme, host = '', port] = match
  const isDefault = (scheme === 'http' && port === '80') || (scheme === 'https' && port === '443')
  return {
    text: `${scheme === undefined ? '' : `${scheme}://`}${host}${port === undefined || isDefault ? '' : `:${port}`}`,
    host,
  }
}
