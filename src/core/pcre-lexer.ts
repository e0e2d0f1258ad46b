/** Characters, classes, escapes, quantifiers and group openings of PCRE's syntax, read from left to right. */
import {
  ANY,
  CATEGORY,
  DIGIT,
  HORIZONTAL_SPACE,
  NOT_NEWLINE,
  POSIX,
  SPACE,
  VERTICAL_SPACE,
  WORD,
  charSet,
  complementOf,
  onlyMember,
  unionOf,
  type CharSet,
} from './char-set.ts'

/** Thrown inside the parser only, which turns it into a reason. */
export class PcreSyntaxError extends Error {}

export type GroupOpening =
  | { readonly kind: 'capture'; readonly name: string | null }
  | { readonly kind: 'plain' | 'flags'; readonly on: string; readonly off: string }
  | { readonly kind: 'atomic' }
  | { readonly kind: 'look'; readonly opening: '(?=' | '(?!' | '(?<=' | '(?<!' }

/** PCRE's own limit for the numbers of a quantifier. */
const MAX_COUNT = 65_535
const CLASS_ESCAPES: Readonly<Record<string, CharSet>> = {
  d: DIGIT,
  w: WORD,
  s: SPACE,
  h: HORIZONTAL_SPACE,
  v: VERTICAL_SPACE,
}
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { a: 0x07, e: 0x1b, f: 0x0c, n: 0x0a, r: 0x0d, t: 0x09 }
const LOOKS = ['(?=', '(?!', '(?<=', '(?<!'] as const

export class PcreLexer {
  readonly #source: string
  #at = 0
  /** Inside `\Q` ... `\E`. */
  #isQuoted = false
  /** `(?x)`: white space and comments between atoms count for nothing. */
  isExtended = false

  constructor(source: string) {
    this.#source = source
  }

  get atEnd(): boolean {
    return this.#at >= this.#source.length
  }

  fail(reason: string): never {
    throw new PcreSyntaxError(`${reason} at character ${this.#at + 1}`)
  }

  peek(text: string): boolean {
    return !this.#isQuoted && this.#source.startsWith(text, this.#at)
  }

  take(text: string): boolean {
    if (!this.peek(text)) return false
    this.#at += text.length
    return true
  }

  /** Passes `(?#...)`, the ends of quotes, and with (?x) white space and `#` to the end of the line. */
  skipComments(): void {
    for (;;) {
      if (this.#isQuoted) {
        if (!this.#source.startsWith('\\E', this.#at)) return
        this.#at += 2
        this.#isQuoted = false
      } else if (this.peek('\\Q')) {
        this.#at += 2
        this.#isQuoted = true
      } else if (this.take('\\E')) continue
      else if (this.peek('(?#')) {
        const end = this.#source.indexOf(')', this.#at)
        if (end < 0) this.fail('missing ) after a comment')
        this.#at = end + 1
      } else if (!this.isExtended || this.#match(/\s+|#[^\n]*/y) === null) return
    }
  }

  /** `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`, lazy with `?` and possessive with `+` behind; null when none stands here. */
  quantifier(): { min: number; max: number; mode: 'greedy' | 'lazy' | 'possessive' } | null {
    if (this.#isQuoted) return null
    const found = this.#match(/([*+?])|\{(\d{1,5})(?:(,)(\d{0,5}))?\}/y)
    if (found === null) return null
    const [, sign, low, comma, high] = found
    const min = sign === undefined ? Number(low) : sign === '+' ? 1 : 0
    const max =
      sign === undefined
        ? comma === undefined
          ? min
          : high === ''
            ? Infinity
            : Number(high)
        : sign === '?'
          ? 1
          : Infinity
    if (min > max) this.fail(`the numbers of {${low},${high}} are out of order`)
    if (min > MAX_COUNT || (max !== Infinity && max > MAX_COUNT)) this.fail(`a count is over ${MAX_COUNT}`)
    return { min, max, mode: this.take('?') ? 'lazy' : this.take('+') ? 'possessive' : 'greedy' }
  }

  /** What an opening parenthesis begins; a comment is not one. */
  groupOpening(): GroupOpening {
    if (this.peek('(*')) this.fail('verbs such as (*SKIP) are not supported')
    if (!this.peek('(?')) {
      this.take('(')
      return { kind: 'capture', name: null }
    }
    for (const opening of LOOKS) if (this.take(opening)) return { kind: 'look', opening }
    if (this.take('(?>')) return { kind: 'atomic' }
    const name = this.#match(/\(\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')/y)
    if (name !== null) return { kind: 'capture', name: name[1] ?? name[2] ?? null }
    const flags = this.#match(/\(\?([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])/y)
    if (flags !== null) return { kind: flags[3] === ')' ? 'flags' : 'plain', on: flags[1]!, off: flags[2] ?? '' }
    return this.fail(`a group that begins with '${this.#source.slice(this.#at, this.#at + 4)}' is not supported`)
  }

  /** One character, class or escape: the set that it stands for, or the assertion that it is. */
  character(dotAll: boolean): CharSet | 'start' | 'end' | 'boundary' | 'no-boundary' {
    if (this.take('.')) return dotAll ? ANY : NOT_NEWLINE
    if (this.take('[')) return this.#class()
    if (this.peek('\\')) {
      if (this.take('\\b')) return 'boundary'
      if (this.take('\\B')) return 'no-boundary'
      if (this.take('\\A')) return 'start'
      if (this.take('\\z') || this.take('\\Z')) return 'end'
      return this.#escape()
    }
    return this.#literal()
  }

  #class(): CharSet {
    const isNegated = this.take('^')
    let set: CharSet = []
    // A ] that comes first is a member.
    for (let isFirst = true; isFirst || !this.take(']'); isFirst = false) {
      if (this.atEnd) this.fail('missing ] after a character class')
      const low = this.#classMember()
      const from = onlyMember(low)
      if (from >= 0 && this.peek('-') && !this.peek('-]')) {
        this.take('-')
        const to = onlyMember(this.#classMember())
        if (to < from) this.fail('a range of a character class is out of order or has no end')
        set = unionOf(set, charSet(from, to))
      } else set = unionOf(set, low)
    }
    return isNegated ? complementOf(set) : set
  }

  #classMember(): CharSet {
    const posix = this.#match(/\[:(\^?)([a-z]+):\]/y)
    if (posix !== null) {
      const set = POSIX[posix[2]!] ?? this.fail(`there is no class [:${posix[2]}:]`)
      return posix[1] === '^' ? complementOf(set) : set
    }
    if (this.take('\\b')) return charSet(0x08, 0x08)
    return this.peek('\\') ? this.#escape() : this.#literal()
  }

  #escape(): CharSet {
    const hex = this.#match(/\\x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{0,2}))/y)
    if (hex !== null) return this.#code(Number.parseInt(hex[1] ?? `0${hex[2]}`, 16))
    const octal = this.#match(/\\(?:o\{([0-7]{1,6})\}|(0[0-7]{0,2}))/y)
    if (octal !== null) return this.#code(Number.parseInt(octal[1] ?? octal[2]!, 8))
    const control = this.#match(/\\c([\x20-\x7e])/y)
    if (control !== null) return this.#code(control[1]!.toUpperCase().charCodeAt(0) ^ 0x40)
    const category = this.#match(/\\([pP])(?:\{(\^?)(\w+)\}|(\w))/y)
    if (category !== null) {
      const set = CATEGORY[category[3] ?? category[4]!] ?? this.fail(`the property ${category[0]} is not supported`)
      return (category[1] === 'P') !== (category[2] === '^') ? complementOf(set) : set
    }
    const letter = this.#source.charAt(++this.#at)
    this.#at++
    if (letter === '') this.fail('\\ at the end')
    if (letter === 'N') return NOT_NEWLINE
    const set = CLASS_ESCAPES[letter.toLowerCase()]
    if (set !== undefined) return letter === letter.toLowerCase() ? set : complementOf(set)
    if (CONTROL_ESCAPES[letter] !== undefined) return this.#code(CONTROL_ESCAPES[letter])
    if (/[1-9gk]/.test(letter)) this.fail('back-references cannot be matched in linear time')
    if (/[A-Za-z]/.test(letter)) this.fail(`the escape \\${letter} is not supported`)
    return charSet(letter.charCodeAt(0), letter.charCodeAt(0))
  }

  #literal(): CharSet {
    const code = this.#source.charCodeAt(this.#at++)
    return charSet(code, code)
  }

  #code(code: number): CharSet {
    if (code > 0xffff) this.fail('characters beyond U+FFFF are not supported')
    return charSet(code, code)
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#source)
    if (found !== null) this.#at += found[0].length
    return found
  }
}
