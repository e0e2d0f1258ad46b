/** Checks over several fields of a record. What fails is listed under `@entity`; some checks also blame a field. */
import { customChecks } from './custom-checks.ts'
import type { Check, Field, Fields } from './field.ts'
import { MESSAGES, quotedList } from './messages.ts'
import { isNonEmpty, isRecord, own, setAt, valueAt, type Errors, type RecordRules, type Values } from './record.ts'
import type { FieldError } from './rules.ts'
import { isVaultReference } from './vault-reference.ts'

export type WriteMode = 'insert' | 'update'

export interface CheckRun {
  readonly mode: WriteMode
  readonly nowMs: number
  /** That of `validate.ts`, which itself runs checks. */
  readonly validateField: (field: Field, value: unknown) => FieldError | null
}

/** Runs the record's checks and adds what fails to `errors`. */
export function runChecks(rules: RecordRules, values: Readonly<Values>, run: CheckRun, errors: Errors): void {
  for (const check of rules.checks ?? []) {
    const rule = RULES[check.rule]
    if (rule === undefined) throw new Error(`no check named '${check.rule}'`)
    const paths = pathsOf(check)
    if (paths.some((path) => isUnreachable(values, path) || isReference(rules.fields, values, path))) continue
    if (rule.skipsInvalid && paths.some((path) => valueAt(errors, path) !== undefined)) continue
    const failure = rule.run(check, { ...run, rules, values })
    if (failure === null) continue
    addEntityError(errors, failure.message)
    if (failure.field !== undefined) setAt(errors, failure.field, failure.error)
  }
}

export function addEntityError(errors: Errors, message: string): void {
  const list = errors['@entity'] as string[] | undefined
  if (list === undefined) errors['@entity'] = [message]
  else list.push(message)
}

interface Subject extends CheckRun {
  readonly rules: RecordRules
  readonly values: Readonly<Values>
}
interface Failure {
  readonly message: string
  readonly field?: string
  readonly error?: unknown
}
interface Rule {
  readonly skipsInvalid: boolean
  readonly run: (check: any, subject: Subject) => Failure | null
}

const RULES: Readonly<Record<string, Rule>> = {
  at_least_one_of: {
    skipsInvalid: false,
    run: ({ fields }: { fields: string[] }, { values, mode }) =>
      fields.some((path) => isNonEmpty(valueAt(values, path)))
        ? null
        : {
            message: `${mode === 'update' ? 'when updating, ' : ''}at least one of these fields must be non-empty: ${quotedList(fields)}`,
          },
  },
  only_one_of: {
    skipsInvalid: false,
    run: ({ fields }: { fields: string[] }, { values }) =>
      count(fields, values) === 1
        ? null
        : { message: `exactly one of these fields must be non-empty: ${quotedList(fields)}` },
  },
  mutually_required: {
    skipsInvalid: true,
    run: ({ fields }: { fields: string[] }, { values }) => mutuallyRequired(fields, values),
  },
  mutually_exclusive: {
    skipsInvalid: true,
    run: ({ fields }: { fields: string[] }, { values }) =>
      count(fields, values) <= 1
        ? null
        : { message: `only one or none of these fields must be set: ${quotedList(fields)}` },
  },
  mutually_exclusive_sets: {
    skipsInvalid: true,
    run: ({ set1, set2 }: { set1: string[]; set2: string[] }, { values }) =>
      count(set1, values) === 0 || count(set2, values) === 0
        ? null
        : { message: `these sets are mutually exclusive: (${quotedList(set1)}), (${quotedList(set2)})` },
  },
  distinct: {
    skipsInvalid: true,
    run: ({ fields }: { fields: string[] }, { values }) => {
      const given = fields.map((path) => valueAt(values, path)).filter((value) => isNonEmpty(value))
      return new Set(given).size === given.length
        ? null
        : { message: `values of these fields must be distinct: ${quotedList(fields)}` }
    },
  },
  conditional: { skipsInvalid: true, run: conditional },
  conditional_at_least_one_of: { skipsInvalid: false, run: conditionalAtLeastOneOf },
  custom: {
    skipsInvalid: true,
    run: ({ name }: { name: string }, { values, nowMs }) => {
      const check = customChecks[name]
      if (check === undefined) throw new Error(`no custom check named '${name}'`)
      const message = check(values, nowMs)
      return message === null ? null : { message }
    },
  },
}

export function mutuallyRequired(fields: readonly string[], values: Readonly<Values>): Failure | null {
  const set = count(fields, values)
  return set === 0 || set === fields.length
    ? null
    : { message: `all or none of these fields must be set: ${quotedList(fields)}` }
}

function count(fields: readonly string[], values: Readonly<Values>): number {
  return fields.filter((path) => isNonEmpty(valueAt(values, path))).length
}

interface Conditional {
  readonly if_field: string
  readonly if_match: Partial<Field>
  readonly then_field: string
  readonly then_match: Partial<Field>
  readonly error?: string
}

function conditional(check: Conditional, subject: Subject): Failure | null {
  const { rules, values, validateField } = subject
  const matches = matcher(subject, check.if_field)
  if (!matches(check.if_match)) return null
  const message = check.error ?? `failed conditional validation given value of field '${check.if_field}'`
  const value = valueAt(values, check.then_field)
  if (check.then_match.required === true && (value === undefined || value === null)) {
    return { message, field: check.then_field, error: MESSAGES.required }
  }
  const error = validateField(narrowed(rules.fields, check.then_field, check.then_match), value)
  return error === null ? null : { message, field: check.then_field, error }
}

interface ConditionalAtLeastOneOf {
  readonly if_field: string
  readonly if_match: Partial<Field>
  readonly then_at_least_one_of: readonly string[]
  readonly then_error?: string
  readonly else_match?: Partial<Field>
  readonly else_then_at_least_one_of?: readonly string[]
  readonly else_error?: string
  /** Fields that count as well but are not named in the message, because Kong does not have them. */
  readonly also?: readonly string[]
}

function conditionalAtLeastOneOf(check: ConditionalAtLeastOneOf, subject: Subject): Failure | null {
  const matches = matcher(subject, check.if_field)
  const { values } = subject
  let fields = check.then_at_least_one_of
  let text = check.then_error
  if (!matches(check.if_match)) {
    if (check.else_match === undefined || !matches(check.else_match)) return null
    fields = check.else_then_at_least_one_of ?? []
    text = check.else_error
  }
  if ([...fields, ...(check.also ?? [])].some((path) => isNonEmpty(valueAt(values, path)))) return null
  return {
    message: (text ?? 'at least one of these fields must be non-empty: %s').replace('%s', () => quotedList(fields)),
  }
}

/** Tells whether the field that a condition is about satisfies a match; one that is not there satisfies none. */
function matcher({ rules, values, validateField }: Subject, path: string): (match: Partial<Field>) => boolean {
  const value = valueAt(values, path)
  return (match) => value !== undefined && validateField(narrowed(rules.fields, path, match), value) === null
}

/** The field with the rules of a match over its own. Both are parts of definitions, so each pair is merged once. */
function narrowed(fields: Fields, path: string, match: Partial<Field>): Field {
  let byFields = narrowedFields.get(match)
  if (byFields === undefined) narrowedFields.set(match, (byFields = new WeakMap()))
  let field = byFields.get(fields)
  if (field === undefined) byFields.set(fields, (field = { ...fieldAt(fields, path), ...match } as Field))
  return field
}

const narrowedFields = new WeakMap<Partial<Field>, WeakMap<Fields, Field>>()

function fieldAt(fields: Fields, path: string): Field | undefined {
  let at: Fields | undefined = fields
  let found: Field | undefined
  for (const name of path.split('.')) {
    found = at === undefined ? undefined : own(at, name)
    at = found?.fields
  }
  return found
}

function pathsOf(check: Check): readonly string[] {
  const paths: string[] = []
  for (const key of [
    'fields',
    'set1',
    'set2',
    'if_field',
    'then_field',
    'then_at_least_one_of',
    'else_then_at_least_one_of',
  ]) {
    const value = check[key]
    if (typeof value === 'string') paths.push(value)
    else if (Array.isArray(value)) paths.push(...value)
  }
  return paths
}

/** Whether the record that would hold the field is no record: that is an error already, and there is nothing to check. */
function isUnreachable(values: Readonly<Values>, path: string): boolean {
  const dot = path.lastIndexOf('.')
  if (dot < 0) return false
  const parent = valueAt(values, path.slice(0, dot))
  return parent !== undefined && parent !== null && !isRecord(parent)
}

/** A reference to a vault can't be judged before it is read. */
function isReference(fields: Fields, values: Readonly<Values>, path: string): boolean {
  const value = valueAt(values, path)
  return isVaultReference(value) && fieldAt(fields, path)?.referenceable === true
}
