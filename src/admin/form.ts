/**
 * Kong's form syntax: `a.b.c=v`, `a[]=v`, `a[1]=v` (from 1), `a[key]=v`, `a=x&a=y`, and mixtures of these.
 * Parsing gives a tree that does not know the schema yet; `typeForm` gives the values their types, because only the
 * schema can tell whether `a[1]` is an item of a list or a key of a map, and whether `1` is a number.
 */
import type { Field, Fields } from '#model/field.ts'

export interface FormEntry {
  readonly name: string
  /** Text, or the value of a multipart part that was sent as JSON. */
  readonly value: FormValue
}
export type FormValue = { readonly text: string } | { readonly json: unknown }

/** One name of the form with everything that was said about it. */
export interface FormNode {
  readonly values: FormValue[]
  /** `a.b` and `a[b]`, in the order of their first appearance. */
  readonly named: Map<string, FormNode>
  /** `a[]`. */
  readonly appended: FormNode[]
}

/** More entries than this are refused: a form is typed by hand or by a small script. */
export const FORM_ENTRIES_MAX = 1000
/** Steps in one name. Deeper than any schema, and a bound for the recursion over the tree. */
export const FORM_DEPTH_MAX = 24

export type ParsedForm =
  | { readonly ok: true; readonly form: FormNode }
  | { readonly ok: false; readonly message: string }

export function parseForm(entries: readonly FormEntry[]): ParsedForm {
  if (entries.length > FORM_ENTRIES_MAX) {
    return { ok: false, message: `expected at most ${FORM_ENTRIES_MAX} form fields, got ${entries.length}` }
  }
  const form = emptyNode()
  for (const { name, value } of entries) {
    const steps = parseName(name)
    if (steps === null)
      return { ok: false, message: `form field '${name.slice(0, 100)}': names nest at most ${FORM_DEPTH_MAX} deep` }
    let node = form
    for (const step of steps) node = step === APPEND ? appendTo(node) : namedIn(node, step)
    node.values.push(value)
  }
  return { ok: true, form }
}

/** The form as the input of an entity. Fields that the schema does not know keep their text, so that they are named in the error. */
export function typeForm(form: FormNode, fieldsOf: (name: string) => Field | undefined): Record<string, unknown> {
  const input: Record<string, unknown> = {}
  for (const [name, node] of form.named) setOwn(input, name, typeNode(node, fieldsOf(name)))
  return input
}

/** Looks a field up in definitions, in the order given; for forms whose fields come from several places. */
export function fieldsFrom(...sources: readonly (Fields | undefined)[]): (name: string) => Field | undefined {
  return (name) => {
    for (const source of sources) if (source !== undefined && Object.hasOwn(source, name)) return source[name]
    return undefined
  }
}

/** The text of one form value by the type of its field, as Kong converts it: what does not fit stays text and is refused later. */
export function typeText(text: string, field: Field | undefined): unknown {
  if (text === '') return null
  if (field === undefined) return text
  if (field.type === 'number' || field.type === 'integer') return parseNumber(text) ?? text
  if (field.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  return text
}

const APPEND = Symbol('append')
type Step = string | typeof APPEND

// Split on dots and brackets. A name that starts or ends with a dot, or has brackets only, is taken whole, as Kong does.
function parseName(name: string): Step[] | null {
  if (name.startsWith('.') || name.endsWith('.') || name.startsWith('[')) return [name]
  const steps: Step[] = []
  let at = 0
  while (at < name.length) {
    if (steps.length >= FORM_DEPTH_MAX) return null
    if (name[at] === '[') {
      const close = name.indexOf(']', at)
      if (close < 0) return [name]
      const key = name.slice(at + 1, close)
      steps.push(key === '' ? APPEND : key)
      at = close + 1
      if (at < name.length && name[at] === '.') at++
      else if (at < name.length && name[at] !== '[') return [name]
      continue
    }
    let end = at
    while (end < name.length && name[end] !== '.' && name[end] !== '[') end++
    if (end > at) steps.push(name.slice(at, end))
    at = name[end] === '.' ? end + 1 : end
  }
  return steps.length === 0 ? [name] : steps
}

function emptyNode(): FormNode {
  return { values: [], named: new Map(), appended: [] }
}

function appendTo(node: FormNode): FormNode {
  const item = emptyNode()
  node.appended.push(item)
  return item
}

function namedIn(node: FormNode, name: string): FormNode {
  let child = node.named.get(name)
  if (child === undefined) {
    child = emptyNode()
    node.named.set(name, child)
  }
  return child
}

function typeNode(node: FormNode, field: Field | undefined): unknown {
  switch (field?.type) {
    case 'array':
    case 'set': {
      if (isOnlyEmptyText(node)) return null
      const only = onlyJson(node)
      return only !== undefined ? only.json : itemsOf(node).map((item) => typeNode(item, field.elements))
    }
    case 'map':
      return node.named.size > 0 ? typeNamed(node, () => field.values) : typeScalar(node, undefined)
    case 'record':
      return node.named.size > 0
        ? typeNamed(node, fieldsFrom(field.fields, field.shorthand_fields))
        : typeScalar(node, undefined)
    case 'foreign':
      return node.named.size > 0 ? typeNamed(node, () => undefined) : typeScalar(node, undefined)
    case undefined:
      if (node.named.size > 0 && !hasOnlyIndexes(node)) return typeNamed(node, () => undefined)
      if (node.named.size > 0 || node.appended.length > 0) return itemsOf(node).map((item) => typeNode(item, undefined))
      return typeScalar(node, undefined)
    default:
      if (node.named.size > 0) return typeNamed(node, () => undefined)
      if (node.appended.length > 0) return itemsOf(node).map((item) => typeNode(item, field))
      return typeScalar(node, field)
  }
}

function typeNamed(node: FormNode, fieldOf: (name: string) => Field | undefined): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const [name, child] of node.named) setOwn(record, name, typeNode(child, fieldOf(name)))
  return record
}

function typeScalar(node: FormNode, field: Field | undefined): unknown {
  if (node.values.length === 1) return typeValue(node.values[0]!, field)
  return node.values.map((value) => typeValue(value, field))
}

function typeValue(value: FormValue, field: Field | undefined): unknown {
  return 'json' in value ? value.json : typeText(value.text, field)
}

/** Items of a list: `a[1]` by number, then `a=` and `a[]=` in their order. Gaps between numbers close. */
function itemsOf(node: FormNode): FormNode[] {
  const numbered = [...node.named].toSorted(([a], [b]) => Number(a) - Number(b)).map(([, child]) => child)
  const plain = node.values.map((value) => ({ values: [value], named: new Map<string, FormNode>(), appended: [] }))
  return [...numbered.flatMap(flattenRepeated), ...plain, ...node.appended.flatMap(flattenRepeated)]
}

// `a[1]=x&a[1]=y` says two items, `a[1].b=x` one.
function flattenRepeated(node: FormNode): FormNode[] {
  if (node.values.length <= 1) return [node]
  return node.values.map((value) => ({ values: [value], named: new Map<string, FormNode>(), appended: [] }))
}

function hasOnlyIndexes(node: FormNode): boolean {
  return [...node.named.keys()].every((key) => /^\d{1,9}$/.test(key))
}

function isOnlyEmptyText(node: FormNode): boolean {
  const [value] = node.values
  return (
    node.named.size === 0 &&
    node.appended.length === 0 &&
    node.values.length === 1 &&
    value !== undefined &&
    'text' in value &&
    value.text === ''
  )
}

function onlyJson(node: FormNode): { readonly json: unknown } | undefined {
  const [value] = node.values
  return node.named.size === 0 &&
    node.appended.length === 0 &&
    node.values.length === 1 &&
    value !== undefined &&
    'json' in value
    ? value
    : undefined
}

// What Lua's tonumber takes in decimal and hexadecimal; '' and blanks are no numbers here.
function parseNumber(text: string): number | undefined {
  if (!/^\s*[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*$/.test(text)) return undefined
  const number = /^\s*[-+]0[xX]/.test(text)
    ? Number(text.trim().slice(1)) * (text.trim().startsWith('-') ? -1 : 1)
    : Number(text)
  return Number.isFinite(number) ? number : undefined
}

// Assignment would call the setter of `__proto__`; a field of that name must stay an (unknown) field.
function setOwn(target: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true })
}
