/** The pairs of a transformer's configuration, compiled: what is done to one kind of fields, in Kong's order. */
import { compileTemplate, type TemplateScope } from '#core/template.ts'
import { splitPair } from '#pdk/name-value.ts'
import { toWire } from '#pdk/wire-text.ts'

/** A text that may depend on the request. */
export interface Value {
  /** What of the request it looks into. */
  readonly names: ReadonlySet<string>
  /** As wire text; null when there is none, or `scope.failure` is set. */
  render(scope: TemplateScope): string | null
}

export interface Pair {
  /** As configured; and as wire text. */
  readonly name: string
  readonly wireName: string
  readonly value: Value
}

export interface Operations {
  /** What of the request their values look into. */
  readonly names: ReadonlySet<string>
  readonly remove: readonly { readonly name: string; readonly wireName: string }[]
  /** The value is the new name. */
  readonly rename: readonly Pair[]
  readonly replace: readonly Pair[]
  readonly add: readonly Pair[]
  readonly append: readonly Pair[]
}

export interface OperationTexts {
  readonly remove: readonly string[]
  readonly rename: readonly string[]
  readonly replace: readonly string[]
  readonly add: readonly string[]
  readonly append: readonly string[]
}

/** Null when nothing is configured. */
export function compileOperations(texts: OperationTexts): Operations | null {
  const { remove, rename, replace, add, append } = texts
  if (remove.length + rename.length + replace.length + add.length + append.length === 0) return null
  const operations = {
    remove: remove.map(splitPair).map(({ name }) => ({ name, wireName: toWire(name) })),
    rename: rename.map(compilePair),
    replace: replace.map(compilePair),
    add: add.map(compilePair),
    append: append.map(compilePair),
  }
  const pairs = [...operations.rename, ...operations.replace, ...operations.add, ...operations.append]
  return { ...operations, names: new Set(pairs.flatMap(({ value }) => [...value.names])) }
}

export function compileValue(text: string): Value {
  const compiled = compileTemplate(toWire(text))
  if (!compiled.ok) return failing(compiled.reason)
  const { template } = compiled
  const { constant } = template
  return constant === null ? template : { names: template.names, render: () => constant }
}

/** Why a value is no template, or null. */
export function templateProblem(text: string): string | null {
  const compiled = compileTemplate(text)
  return compiled.ok ? null : compiled.reason
}

function compilePair(text: string): Pair {
  const { name, value } = splitPair(text)
  return { name, wireName: toWire(name), value: value === '' ? NOTHING : compileValue(value) }
}

const NOTHING: Value = { names: new Set(), render: () => null }

/** Validation refuses such a template; where another version stored it, the request fails as in Kong, instead of passing unchanged. */
function failing(reason: string): Value {
  return {
    names: new Set(),
    render: (scope) => {
      scope.failure ??= reason
      return null
    },
  }
}
