/**
 * Regular expressions that operators write in PCRE's or Rust's syntax, compiled so that no subject can stall the event loop: V8's
 * backtracking engine does the usual work and hands over to its linear one when it backtracks too much, so only what the linear engine
 * understands is compiled for V8; RE2 in JavaScript (linear, but 20 times slower) takes the rest that it can; what is left is refused.
 */
import v8 from 'node:v8'
import { RE2JS } from 're2js'
import { parsePcre, type ParsedRegex } from './pcre-parser.ts'
import { literalPrefix, writeRegex } from './pcre-writer.ts'

export interface SafeRegexOptions {
  /** Match at the start of the subject only. */
  readonly isAnchored?: boolean
  /** Subjects come in lower case; the pattern's letters are taken as lower-case ones. */
  readonly lowerCase?: boolean
}

export interface RegexMatch {
  readonly text: string
  /** What each group caught, at its number; index 0 is the whole match, null a group that took no part. */
  readonly groups: readonly (string | null)[]
}

export interface SafeRegex {
  readonly engine: 'v8' | 're2'
  /** Names of the groups at their numbers, null for those without; index 0 is not used. */
  readonly groupNames: readonly (string | null)[]
  /** The text that every match begins with, '' when that is not certain. */
  readonly literalPrefix: string
  test(subject: string): boolean
  exec(subject: string): RegexMatch | null
}

/** The flag by which V8 compiles for its linear engine only; in a constant, because the linter knows standard flags only. */
const LINEAR = 'l'
/** Longer patterns are refused before they are read. */
const MAX_PATTERN = 4096

/**
 * Lets V8 finish in linear time what backtracks too much: `(a+)+$` on forty letters takes 0.1 ms and not seconds. For the whole process;
 * called first thing at start, before threads are made. Compiling a pattern does it too when it was forgotten.
 */
export function enableLinearRegexFallback(): void {
  v8.setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
  // Only allows the flag `l`, by which a pattern is checked; patterns without it are compiled as before.
  v8.setFlagsFromString('--enable-experimental-regexp-engine')
  // Kong limits PCRE to as many (LIMIT_MATCH=10000); V8's default of 50,000 costs 1.4 ms before it hands over.
  v8.setFlagsFromString('--regexp-backtracks-before-fallback=10000')
}

/** The compiled pattern, or why it is refused. */
export function compileSafeRegex(
  pattern: string,
  options: SafeRegexOptions = {},
): { readonly ok: true; readonly regex: SafeRegex } | { readonly ok: false; readonly reason: string } {
  if (pattern.length > MAX_PATTERN)
    return { ok: false, reason: `expected at most ${MAX_PATTERN} characters, got ${pattern.length}` }
  const parsed = parsePcre(pattern, options)
  if ('reason' in parsed) return { ok: false, reason: parsed.reason }
  const isAnchored = options.isAnchored === true
  let reason = ''
  for (const unroll of [false, true]) {
    const written = writeRegex(parsed.root, { dialect: 'v8', unroll })
    if ('reason' in written) return compileRe2(parsed, isAnchored, written.reason)
    const regex = compileLinear(isAnchored ? `^(?:${written.source})` : written.source)
    if (regex !== null) return { ok: true, regex: new V8Regex(regex, parsed) }
    reason = 'it cannot be matched in linear time'
  }
  return compileRe2(parsed, isAnchored, reason)
}

function compileRe2(parsed: ParsedRegex, isAnchored: boolean, reason: string): ReturnType<typeof compileSafeRegex> {
  const written = writeRegex(parsed.root, { dialect: 're2', unroll: false })
  if ('reason' in written) return { ok: false, reason: written.reason }
  try {
    const regex = RE2JS.compile(isAnchored ? `^(?:${written.source})` : written.source)
    return { ok: true, regex: new Re2Regex(regex, parsed) }
  } catch (error) {
    return { ok: false, reason: `${reason} (${error instanceof Error ? error.message : String(error)})` }
  }
}

/** For V8, with its linear engine to fall back on; null when that one does not take the source. */
export function compileLinear(source: string): RegExp | null {
  if (!linearEngineIsOn()) enableLinearRegexFallback()
  try {
    RegExp(source, LINEAR)
    return new RegExp(source)
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

function linearEngineIsOn(): boolean {
  try {
    return RegExp('', LINEAR).flags === LINEAR
  } catch {
    // The flag is a syntax error as long as the engine is off.
    return false
  }
}

class V8Regex implements SafeRegex {
  readonly engine = 'v8'
  readonly groupNames: readonly (string | null)[]
  readonly literalPrefix: string
  readonly #regex: RegExp

  constructor(regex: RegExp, parsed: ParsedRegex) {
    this.groupNames = parsed.names
    this.literalPrefix = literalPrefix(parsed.root)
    this.#regex = regex
  }

  test(subject: string): boolean {
    return this.#regex.test(subject)
  }

  exec(subject: string): RegexMatch | null {
    const found = this.#regex.exec(subject)
    if (found === null) return null
    const groups: (string | null)[] = []
    for (let i = 0; i < found.length; i++) groups.push(found[i] ?? null)
    return { text: found[0], groups }
  }
}

class Re2Regex implements SafeRegex {
  readonly engine = 're2'
  readonly groupNames: readonly (string | null)[]
  readonly literalPrefix: string
  readonly #regex: RE2JS

  constructor(regex: RE2JS, parsed: ParsedRegex) {
    this.groupNames = parsed.names
    this.literalPrefix = literalPrefix(parsed.root)
    this.#regex = regex
  }

  test(subject: string): boolean {
    return this.#regex.test(subject)
  }

  exec(subject: string): RegexMatch | null {
    const matcher = this.#regex.matcher(subject)
    if (!matcher.find()) return null
    const groups: (string | null)[] = []
    for (let i = 0; i < this.groupNames.length; i++) groups.push(matcher.group(i))
    return { text: groups[0] ?? '', groups }
  }
}
