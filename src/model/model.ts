/** The model: definitions of everything that can be configured, and the making of documents that keep them. */
import type { Checked, CheckContext, FieldErrors, Model } from './contract.ts'
import { EXPIRES_AT, type Document } from './document.ts'
import { addEntityError, type WriteMode } from './checks.ts'
import { expiryOf, isTtl, ttlLeft } from './expiry.ts'
import type { Field, Fields } from './field.ts'
import { fillRecord } from './fill.ts'
import { applyFormats, formatErrors } from './formats.ts'
import { mergeRecord } from './merge.ts'
import { MESSAGES } from './messages.ts'
import { own, setAt, type Errors, type RecordRules, type Values } from './record.ts'
import type { EntityDefinition, PluginSchema } from './schema.ts'
import { echoDeprecated } from './shorthand.ts'
import { pluginRules, plainRules, rulesByName, rulesByProtocol, vaultRules, type RulesFor } from './subschema.ts'
import { checkTransformations, transform } from './transformations.ts'
import { validateField, validateRecord } from './validate.ts'

export interface ModelParts {
  readonly entities: readonly EntityDefinition[]
  readonly plugins: readonly PluginSchema[]
  /** Names of the plugins that this gateway can run. */
  readonly built: Iterable<string>
  /** Configuration of each kind of vault. */
  readonly vaults: ReadonlyMap<string, Field>
  /** What a plugin's schema allows and this version can't do; without it, nothing. */
  readonly refuse?: Refusal | undefined
}

/** The dotted field below `config` that can't be as it is, and why; null accepts. The configuration is complete and keeps to its schema. */
export type Refusal = (
  plugin: string,
  config: Readonly<Values>,
) => { readonly field: string; readonly message: string } | null

/** Builds the model once, at start; it holds no state. */
export function createModel(parts: ModelParts): Model {
  const entities = new Map(parts.entities.map((definition) => [definition.kind, definition]))
  const plugins = new Map(parts.plugins.map((schema) => [schema.name, schema]))
  const built = new Set(parts.built)
  const finders = new Map(
    parts.entities.map((definition) => [definition.kind, rulesFor(definition, plugins, built, parts.vaults)]),
  )
  const kindOf = (kind: string): Kind => {
    const definition = entities.get(kind)
    if (definition === undefined) throw new Error(`no entity kind '${kind}'`)
    const refuse = definition.subschemas === 'plugins' ? (parts.refuse ?? null) : null
    return { definition, find: finders.get(kind)!, refuse }
  }
  return {
    entities,
    plugins,
    vaults: parts.vaults,
    built,
    check: (kind, input, context) => check(kindOf(kind), input, context),
    insert: (kind, input, context) => insert(kindOf(kind), input, context),
    update: (kind, current, input, context) => update(kindOf(kind), current, input, context),
    upsert: (kind, current, input, context) => upsert(kindOf(kind), current, input, context),
    present: (kind, document, nowMs) => present(kindOf(kind), document, nowMs),
    fieldsOf: (kind, document) => fieldsOf(kindOf(kind), document),
    checkField: (kind, name, value) => checkField(kindOf(kind).definition, name, value),
  }
}

interface Kind {
  readonly definition: EntityDefinition
  readonly find: RulesFor
  readonly refuse: Refusal | null
}

function rulesFor(
  definition: EntityDefinition,
  plugins: ReadonlyMap<string, PluginSchema>,
  built: ReadonlySet<string>,
  vaults: ReadonlyMap<string, Field>,
): RulesFor {
  if (definition.subschemas_by_protocol !== undefined) return rulesByProtocol(definition)
  if (definition.subschemas === 'plugins') {
    const rules = new Map([...plugins].map(([name, schema]) => [name, pluginRules(definition, schema)]))
    return rulesByName(definition, rules, (name) =>
      built.has(name) ? null : `plugin '${name}' is not available in this version of Meridian`,
    )
  }
  if (definition.subschemas === 'vaults') {
    return rulesByName(definition, new Map([...vaults].map(([name, config]) => [name, vaultRules(definition, config)])))
  }
  return plainRules(definition)
}

function insert(kind: Kind, input: Readonly<Values>, context: CheckContext): Checked {
  const errors = formatErrors(kind.definition.fields, input)
  return errors === null ? check(kind, input, context) : refused(errors)
}

function check(kind: Kind, input: Readonly<Values>, context: CheckContext): Checked {
  const { ttl, rest } = splitTtl(kind.definition, input)
  if (ttl !== undefined && ttl !== null && !isTtl(ttl)) return refusedTtl()
  const found = kind.find(rest, context.routerFlavor)
  if ('errors' in found) return refused(found.errors)
  const errors: Errors = {}
  const filled = fillRecord(found.rules, rest, context, errors)
  return finish(kind, found.rules, {
    values: filled,
    given: rest,
    current: null,
    mode: 'insert',
    errors,
    context,
    ttl: ttl ?? null,
  })
}

function update(kind: Kind, current: Document, input: Readonly<Values>, context: CheckContext): Checked {
  const { ttl, rest } = splitTtl(kind.definition, input)
  if (ttl !== undefined && ttl !== null && !isTtl(ttl)) return refusedTtl()
  const wrongForm = formatErrors(kind.definition.fields, rest)
  if (wrongForm !== null) return refused(wrongForm)
  const { id: _ignored, ...given } = rest
  const { [EXPIRES_AT]: expiresAt, ...stored } = current as Values
  const found = kind.find({ ...stored, ...given }, context.routerFlavor)
  if ('errors' in found) return refused(found.errors)
  const errors: Errors = {}
  const merged = mergeRecord(found.rules, stored, given, errors)
  const filled = fillRecord(found.rules, merged, context, errors)
  const keptExpiry = ttl === undefined ? (expiresAt as number | null | undefined) : undefined
  return finish(kind, found.rules, {
    values: filled,
    given,
    current,
    mode: 'update',
    errors,
    context,
    ttl: ttl ?? null,
    keptExpiry,
  })
}

function upsert(kind: Kind, current: Document | null, input: Readonly<Values>, context: CheckContext): Checked {
  if (current === null) return insert(kind, input, context)
  const createdAt = current['created_at']
  return insert(
    kind,
    { ...(createdAt === undefined ? {} : { created_at: createdAt }), ...input, id: current.id },
    context,
  )
}

interface Draft {
  readonly values: Values
  readonly given: Readonly<Values>
  readonly current: Document | null
  readonly mode: WriteMode
  /** Errors of shorthand fields. */
  readonly errors: Errors
  readonly context: CheckContext
  readonly ttl: number | null
  readonly keptExpiry?: number | null | undefined
}

function finish({ definition, refuse }: Kind, rules: RecordRules, draft: Draft): Checked {
  const { values, context } = draft
  const errors = { ...validateRecord(rules, values, draft.mode, context.nowMs), ...draft.errors }
  const transformations = (definition.transformations ?? []).filter(
    ({ isRepeatable }) => isRepeatable === true || context.transforms !== false,
  )
  for (const message of checkTransformations(transformations, draft)) addEntityError(errors, message)
  if (Object.keys(errors).length > 0) return refused(errors)
  const refusal = refuse?.(values['name'] as string, values['config'] as Values) ?? null
  if (refusal !== null) {
    setAt(errors, `config.${refusal.field}`, refusal.message)
    return refused(errors)
  }
  const document: Values = { ...transform(transformations, draft) }
  applyFormats(definition.fields, document)
  for (const name in definition.fields) if (definition.fields[name]!.transient === true) delete document[name]
  if (definition.ttl === true) document[EXPIRES_AT] = draft.keptExpiry ?? expiryOf(draft.ttl, context.nowMs)
  return { ok: true, document: document as Document }
}

function splitTtl(definition: EntityDefinition, input: Readonly<Values>): { ttl: any; rest: Readonly<Values> } {
  if (definition.ttl !== true || !Object.hasOwn(input, 'ttl')) return { ttl: undefined, rest: input }
  const { ttl, ...rest } = input
  return { ttl, rest }
}

function refused(errors: Errors): Checked {
  return { ok: false, fields: errors as FieldErrors }
}

function refusedTtl(): Checked {
  return { ok: false, fields: { ttl: MESSAGES.ttl }, isOption: true }
}

function fieldsOf({ definition, find }: Kind, document: Document): Fields {
  const found = find(document, 'traditional_compatible')
  return 'rules' in found ? found.rules.fields : definition.fields
}

function present({ definition, find }: Kind, document: Document, nowMs: number): Values {
  const found = find(document, 'traditional_compatible')
  // A plugin that this version can't run any more is shown as it is stored.
  const values = 'rules' in found ? echoDeprecated(found.rules, document) : { ...document }
  hideUnset(definition.fields, values)
  const config = 'rules' in found ? found.rules.fields['config']?.fields : undefined
  if (config !== undefined && Object.values(config).some(({ hidden_unless_set: isHidden }) => isHidden === true)) {
    const shown = { ...(values['config'] as Values) }
    hideUnset(config, shown)
    values['config'] = shown
  }
  if (definition.ttl === true) {
    delete values[EXPIRES_AT]
    values['ttl'] = ttlLeft(document, nowMs)
  }
  return values
}

/** Takes out what is ours and has no value, so that no client of Kong meets it. */
function hideUnset(fields: Fields, values: Values): void {
  for (const name in fields) {
    if (fields[name]!.hidden_unless_set === true && (values[name] === null || values[name] === undefined))
      delete values[name]
  }
}

function checkField(definition: EntityDefinition, name: string, value: unknown): string | null {
  const field: Field | undefined = own(definition.fields, name)
  if (field === undefined) throw new Error(`no field '${name}' in '${definition.kind}'`)
  const error = value === null || value === undefined ? MESSAGES.required : validateField(field, value)
  return error === null ? null : typeof error === 'string' ? error : JSON.stringify(error)
}
