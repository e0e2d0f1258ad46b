/** The expressions of templates (`template.ts`): parsed once into functions. They never throw: a wrong step sets `scope.failure` and is nil. */
import type { TemplateScope } from './template.ts'

export type Expression = (scope: TemplateScope) => unknown
export type ParsedExpression =
  | { readonly ok: true; readonly expression: Expression }
  | { readonly ok: false; readonly reason: string }

/** Depth of nested parentheses, so that a hostile text can't exhaust the stack. */
const MAX_DEPTH = 50
const HINT = "templates take field access, 'and', 'or', 'not', comparisons, '..' and literals"
const RESERVED = new Set(
  'break do else elseif end for function goto if in local repeat return then until while'.split(' '),
)
const TOKEN =
  /\s*(?:([A-Za-z_]\w*)|(\d+(?:\.\d+)?)(?![\w.])|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|(\.\.\.|\.\.|==|~=|<=|>=|[<>.[\]()])|(\S))/gy

type Token = { readonly kind: 'name' | 'number' | 'string' | 'symbol' | 'end'; readonly text: string }

class Refused extends Error {}

/** Adds the top-level names that are used to `names`. */
export function parseExpression(source: string, names: Set<string>): ParsedExpression {
  try {
    const parser = new Parser(tokenise(source), names)
    return { ok: true, expression: parser.whole() }
  } catch (error) {
    if (error instanceof Refused) return { ok: false, reason: `$(${shortened(source)}): ${error.message}` }
    throw error
  }
}

function shortened(source: string): string {
  return source.length > 80 ? `${source.slice(0, 77)}...` : source
}

function tokenise(source: string): Token[] {
  const tokens: Token[] = []
  for (const [, name, number, double, single, symbol, other] of source.matchAll(TOKEN)) {
    if (name !== undefined) {
      if (RESERVED.has(name)) throw new Refused(`Lua code ('${name}') is not available; ${HINT}`)
      tokens.push({ kind: 'name', text: name })
    } else if (number !== undefined) tokens.push({ kind: 'number', text: number })
    else if (double !== undefined || single !== undefined) {
      tokens.push({ kind: 'string', text: unescape(double ?? single!) })
    } else if (symbol !== undefined && symbol !== '...') tokens.push({ kind: 'symbol', text: symbol })
    else if (other === ':') throw new Refused(`method calls are not available; ${HINT}`)
    else throw new Refused(`'${symbol ?? other}' is not available; ${HINT}`)
  }
  tokens.push({ kind: 'end', text: 'the end' })
  return tokens
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\', '"': '"', "'": "'" }

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, letter: string) => {
    const character = ESCAPES[letter]
    if (character === undefined) throw new Refused(`'\\${letter}' in a string is not available`)
    return character
  })
}

class Parser {
  #tokens: readonly Token[]
  #names: Set<string>
  #at = 0
  #depth = 0

  constructor(tokens: readonly Token[], names: Set<string>) {
    this.#tokens = tokens
    this.#names = names
  }

  whole(): Expression {
    const expression = this.#or()
    if (this.#peek().kind !== 'end') throw new Refused(`'${this.#peek().text}' is not expected here; ${HINT}`)
    return expression
  }

  #or(): Expression {
    if (++this.#depth > MAX_DEPTH) throw new Refused('nested too deeply')
    let left = this.#and()
    while (this.#take('name', 'or')) {
      const first = left
      const second = this.#and()
      left = (scope) => {
        const value = first(scope)
        return isTrue(value) ? value : second(scope)
      }
    }
    this.#depth--
    return left
  }

  #and(): Expression {
    let left = this.#comparison()
    while (this.#take('name', 'and')) {
      const first = left
      const second = this.#comparison()
      left = (scope) => {
        const value = first(scope)
        return isTrue(value) ? second(scope) : value
      }
    }
    return left
  }

  #comparison(): Expression {
    let left = this.#concatenation()
    for (;;) {
      const operator = COMPARISONS[this.#peek().kind === 'symbol' ? this.#peek().text : '']
      if (operator === undefined) return left
      this.#at++
      const first = left
      const second = this.#concatenation()
      left = (scope) => operator(first(scope), second(scope), scope)
    }
  }

  #concatenation(): Expression {
    const parts = [this.#unary()]
    while (this.#take('symbol', '..')) parts.push(this.#unary())
    if (parts.length === 1) return parts[0]!
    return (scope) => {
      let text = ''
      for (const part of parts) {
        const value = part(scope)
        if (typeof value === 'string' || typeof value === 'number') text += value
        else return fail(scope, `'..' of ${describe(value)}`)
      }
      return text
    }
  }

  #unary(): Expression {
    let negations = 0
    while (this.#take('name', 'not')) negations++
    const operand = this.#postfix()
    if (negations === 0) return operand
    return negations % 2 === 1 ? (scope) => !isTrue(operand(scope)) : (scope) => isTrue(operand(scope))
  }

  #postfix(): Expression {
    let value = this.#primary()
    for (;;) {
      if (this.#take('symbol', '.')) {
        const { kind, text } = this.#next()
        if (kind !== 'name') throw new Refused(`expected a field name after '.', got '${text}'`)
        value = fieldOf(value, () => text)
      } else if (this.#take('symbol', '[')) {
        const key = this.#or()
        if (!this.#take('symbol', ']')) throw new Refused(`expected ']', got '${this.#peek().text}'`)
        value = fieldOf(value, key)
      } else if (this.#peek().kind === 'symbol' && this.#peek().text === '(') {
        throw new Refused(`function calls are not available; ${HINT}`)
      } else return value
    }
  }

  #primary(): Expression {
    const { kind, text } = this.#next()
    if (kind === 'number') {
      const number = Number(text)
      return () => number
    }
    if (kind === 'string') return () => text
    if (kind === 'symbol' && text === '(') {
      const inner = this.#or()
      if (!this.#take('symbol', ')')) throw new Refused(`expected ')', got '${this.#peek().text}'`)
      return inner
    }
    if (kind !== 'name' || text === 'and' || text === 'or') throw new Refused(`'${text}' is not expected here; ${HINT}`)
    if (text === 'nil') return () => undefined
    if (text === 'true') return () => true
    if (text === 'false') return () => false
    this.#names.add(text)
    return (scope) => scope.lookup(text)
  }

  #peek(): Token {
    return this.#tokens[this.#at]!
  }
  #next(): Token {
    const token = this.#tokens[this.#at]!
    if (token.kind !== 'end') this.#at++
    return token
  }
  #take(kind: Token['kind'], text: string): boolean {
    const token = this.#peek()
    if (token.kind !== kind || token.text !== text) return false
    this.#at++
    return true
  }
}

function fieldOf(holder: Expression, key: Expression): Expression {
  return (scope) => {
    const value = holder(scope)
    const name = key(scope)
    if (typeof name !== 'string' && typeof name !== 'number') return undefined
    // A Lua string has only methods, which are not offered here.
    if (typeof value === 'string') return undefined
    if (typeof value !== 'object' || value === null) return fail(scope, `field '${name}' of ${describe(value)}`)
    if (Array.isArray(value)) return typeof name === 'number' ? value[name - 1] : undefined
    if ('lookup' in value && typeof value.lookup === 'function') return value.lookup(name) as unknown
    return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
  }
}

type Comparison = (left: unknown, right: unknown, scope: TemplateScope) => unknown

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  '==': (left, right) => (left ?? undefined) === (right ?? undefined),
  '~=': (left, right) => (left ?? undefined) !== (right ?? undefined),
  '<': (left, right, scope) => compare(left, right, scope, (order) => order < 0),
  '<=': (left, right, scope) => compare(left, right, scope, (order) => order <= 0),
  '>': (left, right, scope) => compare(left, right, scope, (order) => order > 0),
  '>=': (left, right, scope) => compare(left, right, scope, (order) => order >= 0),
}

function compare(left: unknown, right: unknown, scope: TemplateScope, holds: (order: number) => boolean): unknown {
  if (typeof left === 'number' && typeof right === 'number') return holds(left - right)
  if (typeof left === 'string' && typeof right === 'string') return holds(left < right ? -1 : left > right ? 1 : 0)
  return fail(scope, `comparison of ${describe(left)} with ${describe(right)}`)
}

function isTrue(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false
}

function fail(scope: TemplateScope, reason: string): undefined {
  scope.failure ??= reason
  return undefined
}

function describe(value: unknown): string {
  return value === undefined || value === null ? 'nil' : typeof value === 'object' ? 'a table' : `a ${typeof value}`
}
