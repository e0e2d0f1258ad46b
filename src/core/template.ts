/**
 * Text with `$(...)` expressions, as Kong's transformers take it. Kong evaluates Lua there; what people write is field access with
 * alternatives, and that is what is understood here: names, `.field`, `["field"]`, `[1]`, `and`, `or`, `not`, comparisons, `..`,
 * strings, numbers, true, false and nil. Anything else is refused when the text is compiled, with the reason.
 */
import { parseExpression, type Expression } from './template-expression.ts'

/** What expressions may look into: `lookup` answers undefined for what is not there. */
export interface Table {
  lookup(key: string | number): unknown
}

/** The values of one rendering. Names that it does not know are nil, as in Kong's sandbox. */
export interface TemplateScope extends Table {
  /** Why the rendering failed; set by expressions, null while all is well. */
  failure: string | null
}

export interface Template {
  /** The whole text when it has no expression, so that nothing needs to be rendered. */
  readonly constant: string | null
  /** Top-level names that the expressions use. */
  readonly names: ReadonlySet<string>
  /** The text, or null with `scope.failure` set. */
  render(scope: TemplateScope): string | null
  /** As `render`, but a text that is nothing but one expression keeps the value's type: a number, a table, nil as undefined. */
  evaluate(scope: TemplateScope): unknown
}

export type CompiledTemplate =
  | { readonly ok: true; readonly template: Template }
  | { readonly ok: false; readonly reason: string }

export function compileTemplate(text: string): CompiledTemplate {
  const pieces: (string | Expression)[] = []
  const names = new Set<string>()
  let literal = ''
  let at = 0
  while (at < text.length) {
    const start = text.indexOf('$(', at)
    const end = start < 0 ? -1 : closingParenthesis(text, start + 1)
    if (start < 0) {
      literal += text.slice(at)
      break
    }
    if (end < 0) {
      // Without its closing parenthesis it is plain text, as in Kong's templates.
      literal += text.slice(at, start + 2)
      at = start + 2
      continue
    }
    literal += text.slice(at, start)
    const parsed = parseExpression(text.slice(start + 2, end), names)
    if (!parsed.ok) return parsed
    if (literal !== '') pieces.push(literal)
    literal = ''
    pieces.push(parsed.expression)
    at = end + 1
  }
  if (pieces.length === 0) {
    const constant = (): string => literal
    return { ok: true, template: { constant: literal, names, render: constant, evaluate: constant } }
  }
  if (literal !== '') pieces.push(literal)
  const [only] = pieces
  const rendered = (scope: TemplateScope): string | null => render(pieces, scope)
  const evaluate =
    pieces.length > 1 || typeof only === 'string' || only === undefined
      ? rendered
      : (scope: TemplateScope): unknown => {
          const value = only(scope)
          return scope.failure === null ? value : null
        }
  return { ok: true, template: { constant: null, names, render: rendered, evaluate } }
}

/** Index of the parenthesis that closes the one at `open`, or -1. Counts without regard to quotes, as Lua's `%b()` does. */
function closingParenthesis(text: string, open: number): number {
  let depth = 0
  for (let i = open; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 40) depth++
    else if (code === 41 && --depth === 0) return i
  }
  return -1
}

function render(pieces: readonly (string | Expression)[], scope: TemplateScope): string | null {
  let text = ''
  for (const piece of pieces) text += typeof piece === 'string' ? piece : toText(piece(scope), scope)
  return scope.failure === null ? text : null
}

/** nil and false are nothing; a list is joined as HTTP joins fields of one name. */
function toText(value: unknown, scope: TemplateScope): string {
  if (value === undefined || value === null || value === false) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value) && !value.some(Array.isArray)) return value.map((item) => toText(item, scope)).join(', ')
  scope.failure ??= 'expected text or a number, got a table'
  return ''
}
