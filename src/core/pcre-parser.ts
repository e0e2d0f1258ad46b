/**
 * Reads a regular expression in PCRE's or Rust's syntax into a tree. Subjects are single lines (paths, header values), so `(?m)` changes
 * nothing and `\Z` is `\z`. Classes and case folding are ASCII, as in both engines for byte strings.
 */
import { PcreLexer, PcreSyntaxError } from './pcre-lexer.ts'
import { withBothCases, withLowerCase, type CharSet } from './char-set.ts'

export type RegexNode =
  | { readonly type: 'set'; readonly set: CharSet }
  | { readonly type: 'sequence'; readonly items: readonly RegexNode[] }
  | { readonly type: 'choice'; readonly branches: readonly RegexNode[] }
  | {
      readonly type: 'repeat'
      readonly item: RegexNode
      readonly min: number
      readonly max: number
      readonly mode: Mode
    }
  /** A capturing group; groups are numbered in the order of their opening parentheses, from 1. */
  | { readonly type: 'group'; readonly item: RegexNode }
  | { readonly type: 'atomic'; readonly item: RegexNode }
  | { readonly type: 'look'; readonly opening: '(?=' | '(?!' | '(?<=' | '(?<!'; readonly item: RegexNode }
  | { readonly type: 'assert'; readonly what: 'start' | 'end' | 'boundary' | 'no-boundary' }
export type Mode = 'greedy' | 'lazy' | 'possessive'

export interface ParsedRegex {
  readonly root: RegexNode
  /** For each group, from 1 on, its name or null; index 0 is not used. */
  readonly names: readonly (string | null)[]
}

export interface ParseOptions {
  /** Subjects come in lower case: letters of the pattern match as lower-case ones. */
  readonly lowerCase?: boolean
}

/** Nesting that a person would not write; the parser and writer recurse. */
const MAX_DEPTH = 100

/** The tree, or why there is none. */
export function parsePcre(source: string, options: ParseOptions = {}): ParsedRegex | { readonly reason: string } {
  try {
    return new Parser(source, options.lowerCase === true).parse()
  } catch (error) {
    if (error instanceof PcreSyntaxError) return { reason: error.message }
    throw error
  }
}

class Parser {
  readonly #lexer: PcreLexer
  readonly #lowerCase: boolean
  readonly #names: (string | null)[] = [null]
  #depth = 0
  #ignoreCase = false
  #dotAll = false

  constructor(source: string, lowerCase: boolean) {
    this.#lexer = new PcreLexer(source)
    this.#lowerCase = lowerCase
  }

  parse(): ParsedRegex {
    const root = this.#choice()
    if (!this.#lexer.atEnd) this.#lexer.fail('unmatched )')
    return { root, names: this.#names }
  }

  #choice(): RegexNode {
    if (++this.#depth > MAX_DEPTH) this.#lexer.fail(`groups are nested deeper than ${MAX_DEPTH}`)
    const branches = [this.#sequence()]
    while (this.#lexer.take('|')) branches.push(this.#sequence())
    this.#depth--
    return branches.length === 1 ? branches[0]! : { type: 'choice', branches }
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = []
    for (;;) {
      this.#lexer.skipComments()
      if (this.#lexer.atEnd || this.#lexer.peek('|') || this.#lexer.peek(')')) break
      const item = this.#atom()
      if (item !== null) items.push(this.#quantified(item))
    }
    return items.length === 1 ? items[0]! : { type: 'sequence', items }
  }

  /** Null for what stands for nothing, such as `(?i)`. */
  #atom(): RegexNode | null {
    const lexer = this.#lexer
    if (lexer.peek('(')) return this.#group()
    if (lexer.take('^')) return { type: 'assert', what: 'start' }
    if (lexer.take('$')) return { type: 'assert', what: 'end' }
    const quantifier = lexer.quantifier()
    if (quantifier !== null) lexer.fail('nothing to repeat')
    const token = lexer.character(this.#dotAll)
    return typeof token === 'string' ? { type: 'assert', what: token } : this.#set(token)
  }

  #set(set: CharSet): RegexNode {
    if (this.#lowerCase) return { type: 'set', set: withLowerCase(set) }
    return { type: 'set', set: this.#ignoreCase ? withBothCases(set) : set }
  }

  #quantified(item: RegexNode): RegexNode {
    let node = item
    for (;;) {
      this.#lexer.skipComments()
      const quantifier = this.#lexer.quantifier()
      if (quantifier === null) return node
      if (node !== item) this.#lexer.fail('nothing to repeat')
      node = { type: 'repeat', item, ...quantifier }
    }
  }

  #group(): RegexNode | null {
    const opening = this.#lexer.groupOpening()
    switch (opening.kind) {
      case 'flags': {
        this.#setFlags(opening.on, opening.off)
        return null
      }
      case 'capture': {
        if (opening.name !== null && this.#names.includes(opening.name))
          this.#lexer.fail(`group name '${opening.name}' is used twice`)
        this.#names.push(opening.name)
        return { type: 'group', item: this.#body() }
      }
      case 'atomic':
        return { type: 'atomic', item: this.#body() }
      case 'look':
        return { type: 'look', opening: opening.opening, item: this.#body() }
      case 'plain':
        return this.#body(opening.on, opening.off)
    }
  }

  /** What stands up to the closing parenthesis; flags set inside end there. */
  #body(on = '', off = ''): RegexNode {
    const ignoreCase = this.#ignoreCase
    const dotAll = this.#dotAll
    const { isExtended } = this.#lexer
    this.#setFlags(on, off)
    const body = this.#choice()
    if (!this.#lexer.take(')')) this.#lexer.fail('missing )')
    this.#ignoreCase = ignoreCase
    this.#dotAll = dotAll
    this.#lexer.isExtended = isExtended
    return body
  }

  #setFlags(on: string, off: string): void {
    for (const flag of on + off) {
      const isOn = on.includes(flag)
      if (flag === 'i') this.#ignoreCase = isOn
      else if (flag === 's') this.#dotAll = isOn
      else if (flag === 'x') this.#lexer.isExtended = isOn
      // Multi-line anchors are plain ones on a single line, and Rust's (?u) changes nothing for ASCII.
      else if (flag !== 'm' && flag !== 'u') this.#lexer.fail(`flag '${flag}' is not supported`)
    }
  }
}
