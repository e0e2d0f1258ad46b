/** Kinds whose fields depend on a value: routes on their protocols, plugins and vaults on their name. */
import type { CheckContext } from './contract.ts'
import type { Field } from './field.ts'
import { MESSAGES, shown } from './messages.ts'
import { own, type Errors, type RecordRules, type Values } from './record.ts'
import type { EntityDefinition, PluginSchema } from './schema.ts'
import { t } from './schema.ts'

export type RouterFlavor = CheckContext['routerFlavor']

/** Finds the rules for one document of a kind, or says why there are none. */
export type RulesFor = (
  values: Readonly<Values>,
  flavor: RouterFlavor,
) => { readonly rules: RecordRules } | { readonly errors: Errors }

export function plainRules(definition: EntityDefinition): RulesFor {
  const found = { rules: definition as RecordRules }
  return () => found
}

/** By the first protocol that has a subschema. */
export function rulesByProtocol(definition: EntityDefinition): RulesFor {
  const key = definition.subschema_key!
  const byFlavor = (flavor: RouterFlavor): Map<string, { rules: RecordRules }> => {
    const fields =
      flavor === 'traditional'
        ? { ...definition.fields, ...definition.fields_by_flavor?.['traditional'] }
        : definition.fields
    const found = new Map<string, { rules: RecordRules }>()
    for (const { protocols, overrides, checks } of definition.subschemas_by_protocol!) {
      const rules = {
        fields: { ...fields, ...overrides },
        shorthand_fields: definition.shorthand_fields,
        checks: [...(definition.checks ?? []), ...(checks ?? [])],
      }
      for (const protocol of protocols) found.set(protocol, { rules })
    }
    return found
  }
  const traditional = byFlavor('traditional')
  const others = byFlavor('traditional_compatible')
  return (values, flavor) => {
    const given = own(values, key)
    if (given === null) return { errors: { [key]: MESSAGES.required } }
    const value = given === undefined ? definition.fields[key]!.default : given
    const protocols: readonly unknown[] = Array.isArray(value) ? value : [value]
    const rules = flavor === 'traditional' ? traditional : others
    for (const protocol of protocols) {
      const found = rules.get(protocol as string)
      if (found !== undefined) return found
    }
    return { errors: { [key]: `unknown type: ${protocols.length === 0 ? 'nil' : shown(protocols[0])}` } }
  }
}

/** By name; `unavailable` words the refusal of a name that is known but can't be used. */
export function rulesByName(
  definition: EntityDefinition,
  subschemas: ReadonlyMap<string, RecordRules>,
  unavailable: (name: string) => string | null = () => null,
): RulesFor {
  const key = definition.subschema_key!
  const found = new Map([...subschemas].map(([name, rules]) => [name, { rules }]))
  return (values) => {
    const name = own(values, key)
    if (name === undefined || name === null) return { errors: { [key]: MESSAGES.required } }
    if (typeof name !== 'string') return { errors: { [key]: MESSAGES.string } }
    const rules = found.get(name)
    const refusal = rules === undefined ? definition.subschema_error!.replace('%s', () => name) : unavailable(name)
    return rules === undefined || refusal !== null ? { errors: { [key]: refusal } } : rules
  }
}

/** The plugin entity as one plugin has it: its configuration, its protocols, the scopes that it can have. */
export function pluginRules(definition: EntityDefinition, schema: PluginSchema): RecordRules {
  const { default: protocols, allowed } = schema.protocols
  const fields: Record<string, Field> = {
    ...definition.fields,
    config: configField(schema),
    protocols: t.set(t.string({ one_of: allowed }), { required: true, default: protocols }),
  }
  if (!schema.scopes.route) fields['route'] = t.noRoute()
  if (!schema.scopes.service) fields['service'] = t.noService()
  if (!schema.scopes.consumer) {
    fields['consumer'] = t.noConsumer()
    if (fields['consumer_group'] !== undefined) fields['consumer_group'] = { ...fields['consumer_group'], eq: null }
  }
  return { fields, checks: [...(definition.checks ?? []), ...(schema.checks ?? [])] }
}

export function configField(schema: PluginSchema): Field {
  return {
    type: 'record',
    required: true,
    fields: schema.config,
    ...(schema.shorthand_fields === undefined ? {} : { shorthand_fields: schema.shorthand_fields }),
    ...(schema.config_checks === undefined ? {} : { checks: schema.config_checks }),
    ...schema.config_rules,
  }
}

/** The vault entity as one kind of vault has it. */
export function vaultRules(definition: EntityDefinition, config: Field): RecordRules {
  return { fields: { ...definition.fields, config }, checks: definition.checks }
}
