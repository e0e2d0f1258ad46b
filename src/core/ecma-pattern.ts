/**
 * Regular expressions in the dialect of ECMAScript, as JSON Schema's `pattern` has them (RFC 8927 and JSON Schema 6.3.3 name ECMA-262),
 * matched in linear time: by V8 with its linear engine behind it, else by RE2. What neither can do, look-around and back references,
 * is refused.
 */
import { RE2JS } from 're2js'
import { compileLinear } from './pcre.ts'

export interface EcmaPattern {
  test(subject: string): boolean
}

/** Longer patterns are refused before they are read. */
const MAX_PATTERN = 4096
/** Code units that only together are a character: what V8 counts as two without the flag `u`. */
const SURROGATE = /[\ud800-\udfff]/
/** What means something else, or nothing, without the flag `u`: properties, code points in braces, and what is beyond ASCII. */
const NEEDS_UNICODE = /\\[pPu]|[^\0-\x7f]/

/** The compiled pattern, or why it is refused. It is found anywhere in the subject unless it is anchored. */
export function compileEcmaPattern(
  source: string,
): { readonly ok: true; readonly pattern: EcmaPattern } | { readonly ok: false; readonly reason: string } {
  if (source.length > MAX_PATTERN)
    return { ok: false, reason: `expected at most ${MAX_PATTERN} characters, got ${source.length}` }
  const isUnicode = isPattern(source, 'u')
  if (!isUnicode && !isPattern(source, '')) return { ok: false, reason: 'it is no regular expression of ECMAScript' }
  const plain = NEEDS_UNICODE.test(source) ? null : compileLinear(source)
  if (plain !== null) return { ok: true, pattern: new TwoEngines(source, plain) }
  const re2 = compileRe2(source)
  return re2 === null
    ? {
        ok: false,
        reason:
          'it cannot be matched in linear time: look-around, back references and counts over 1000 are not possible',
      }
    : { ok: true, pattern: re2 }
}

function isPattern(source: string, flags: string): boolean {
  try {
    return RegExp(source, flags).flags === flags
  } catch {
    // The answer; what the engine says about it is about one of two dialects.
    return false
  }
}

/** V8 for the usual subjects; characters beyond the basic plane count as one only in the other. */
class TwoEngines implements EcmaPattern {
  readonly #source: string
  readonly #plain: RegExp
  #whole: EcmaPattern | null = null

  constructor(source: string, plain: RegExp) {
    this.#source = source
    this.#plain = plain
  }

  test(subject: string): boolean {
    if (!SURROGATE.test(subject)) return this.#plain.test(subject)
    this.#whole ??= compileRe2(this.#source) ?? this.#plain
    return this.#whole.test(subject)
  }
}

function compileRe2(source: string): EcmaPattern | null {
  try {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(source))
    return { test: (subject) => compiled.matcher(subject).find() }
  } catch {
    // It has something that RE2 has not; the caller says so.
    return null
  }
}
