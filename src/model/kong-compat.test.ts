/** The definitions against the facts that they were made from, so that none drifts unseen. Every difference that is meant stands here. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import { coreEntities } from './entities/index.ts'
import { vaultConfigs } from './entities/vault-configs.ts'
import type { Check, Field } from './field.ts'
import type { EntityDefinition } from './schema.ts'
import { customChecks } from './custom-checks.ts'
import { validators } from './validators.ts'

const FACTS = new URL('../../../shared/kong-compat/', import.meta.url)
const skip = existsSync(FACTS) ? false : 'the facts are not here'

type Json = Record<string, any>

const facts = (name: string): Json => JSON.parse(readFileSync(new URL(name, FACTS), 'utf8'))

/** Ours on top of Kong, by path: whole fields, or rules of fields that Kong has without them. */
const ADDED = new Set([
  'plugins.consumer_group',
  'plugins.ordering',
  'routes.query',
  'services.proxy_protocol',
  'targets.locality',
  'upstreams.resilience',
  'workspaces.meta.color',
  'workspaces.meta.thumbnail',
  'workspaces.config.meta',
  'workspaces.config.portal',
  ...['http-log', 'tcp-log', 'udp-log', 'file-log', 'syslog', 'loggly'].map((plugin) => `${plugin}.custom_fields`),
  ...['http-log', 'tcp-log'].map((plugin) => `${plugin}.ssl_verify`),
  'acme.challenge',
  ...['redis', 'stale_if_error', 'stale_while_revalidate'].map((field) => `proxy-cache.${field}`),
  ...['host', 'port', 'transport', 'format', 'socket'].map((field) => `syslog.${field}`),
  ...['sample_errors', 'sampling_strategy'].map((field) => `opentelemetry.${field}`),
])
/** Not of Kong's open edition, which the facts are about. */
const OWN_PLUGINS = new Set([
  'compression',
  'deprecation',
  'ext-authz',
  'fault-injection',
  'jwt-signer',
  'mtls-auth',
  'oauth2-introspection',
  'opa',
  'openid-connect',
  'problem-details',
  'request-mirror',
  'request-validator',
  'security-headers',
  'traffic-split',
])
/** Rules that only this gateway's interpreter reads. */
const OWN_RULES = new Set(['hidden_unless_set', 'format', 'description'])

test('every core entity is defined as Kong has it', { skip }, async (t) => {
  const { entities } = facts('entities.json')
  // Kept by other means, or not offered: tags are a projection, filter chains need WASM, data planes are nodes here.
  const notKept = new Set(['tags', 'filter_chains', 'clustering_data_planes'])
  const defined = new Map(coreEntities.map((definition) => [definition.kind, definition]))
  for (const [kind, wanted] of Object.entries<Json>(entities)) {
    if (notKept.has(kind)) continue
    await t.test(kind, () => compareEntity(defined.get(kind)!, wanted))
  }
})

test('every table of a plugin is defined as Kong has it', { skip }, async (t) => {
  const defined = new Map(pluginEntities.map((definition) => [definition.kind, definition]))
  for (const { daos = [] } of Object.values<Json>(facts('plugins.json')['plugins'])) {
    for (const wanted of daos) await t.test(wanted.table, () => compareEntity(defined.get(wanted.table)!, wanted))
  }
})

test('every plugin is defined as Kong has it', { skip }, async (t) => {
  const defined = new Map(pluginSchemas.map((schema) => [schema.name, schema]))
  const { plugins } = facts('plugins.json')
  const ofKong = [...defined.keys()].filter((name) => !OWN_PLUGINS.has(name))
  assert.deepEqual(ofKong.toSorted(), Object.keys(plugins).toSorted())
  for (const [name, wanted] of Object.entries<Json>(plugins)) {
    await t.test(name, () => {
      const schema = defined.get(name)!
      const {
        fields,
        type: _type,
        required: _required,
        checks,
        shorthand_fields: shorthands,
        ...rules
      } = wanted['config']
      for (const key of ['version', 'scopes', 'phases']) assert.deepEqual(schema[key], wanted[key], key)
      assert.equal(schema.priority, wanted['priority'])
      assert.deepEqual(schema.protocols.allowed, wanted['protocols'].allowed)
      assert.deepEqual(schema.protocols.default, wanted['protocols'].default)
      compareFields(schema.config, fields, name)
      compareFields(schema.shorthand_fields ?? {}, shorthands ?? {}, `${name}~`)
      assert.deepEqual((schema.checks ?? []).map(kongCheck), wanted['checks'] ?? [])
      assert.deepEqual((schema.config_checks ?? []).map(kongCheck), checks ?? [])
      assert.deepEqual(schema.config_rules ?? {}, rules)
    })
  }
})

test('every vault is defined as Kong has it', { skip }, () => {
  const { vault_strategies: strategies } = facts('entities.json')
  // Kong's open edition has the environment only; the others are ours.
  for (const [name, { config }] of Object.entries<any>(strategies))
    compareFields(vaultConfigs.get(name)!.fields!, config, name)
})

test('every validator and every check in code that a definition names is there', () => {
  const walk = (field: Field): void => {
    if (field.validator !== undefined) assert.ok(validators[field.validator], `validator '${field.validator}'`)
    for (const check of field.checks ?? []) named(check)
    for (const inner of [field.elements, field.keys, field.values]) if (inner !== undefined) walk(inner)
    for (const inner of Object.values({ ...field.fields, ...field.shorthand_fields })) walk(inner)
  }
  const named = (check: Check): void => {
    if (check.rule === 'custom') assert.ok(customChecks[check['name'] as string], `check '${String(check['name'])}'`)
  }
  for (const definition of [...coreEntities, ...pluginEntities]) {
    walk({
      type: 'record',
      fields: definition.fields,
      checks: definition.checks ?? [],
      shorthand_fields: definition.shorthand_fields ?? {},
    })
  }
  for (const {
    config,
    checks = [],
    config_checks: configChecks = [],
    config_rules: rules = {},
    shorthand_fields: shorthands = {},
  } of pluginSchemas) {
    walk({
      ...rules,
      type: 'record',
      fields: config,
      checks: [...checks, ...configChecks],
      shorthand_fields: shorthands,
    })
  }
})

function compareEntity(definition: EntityDefinition, wanted: Json): void {
  const { kind } = definition
  for (const key of [
    'endpoint_key',
    'workspaceable',
    'admin_api_name',
    'admin_api_nested_name',
    'subschema_key',
    'subschema_error',
    'db_export',
  ]) {
    assert.deepEqual(definition[key as keyof EntityDefinition], wanted[key], `${kind}.${key}`)
  }
  // Workspaces are no longer managed by Kong's own means alone, and groups belong to what makes a plugin unique.
  if (kind !== 'workspaces') assert.deepEqual(definition.generate_admin_api, wanted['generate_admin_api'])
  if (kind !== 'plugins') assert.deepEqual(definition.cache_key, wanted['cache_key'])
  assert.deepEqual(definition.primary_key ?? ['id'], wanted['primary_key'])
  assert.equal(definition.ttl ?? false, wanted['ttl'] ?? false)
  compareFields(definition.fields, wanted['fields'], kind)
  assert.deepEqual(Object.keys(definition.shorthand_fields ?? {}), Object.keys(wanted['shorthand_fields'] ?? {}))
  assert.deepEqual(kongChecks(definition.checks ?? [], kind), wanted['checks'] ?? [])
  const transformations = (definition.transformations ?? []).map(({ input, needs }) => ({
    input,
    ...(needs && { needs }),
  }))
  assert.deepEqual(
    transformations,
    (wanted['transformations'] ?? []).map(({ effect: _effect, ...rest }: Json) => rest),
  )
  for (const [i, subschema] of (definition.subschemas_by_protocol ?? []).entries()) {
    const { protocols, overrides, checks } = wanted['subschemas_by_protocol'][i]
    assert.deepEqual(subschema.protocols, protocols)
    compareFields(subschema.overrides ?? {}, overrides, kind)
    assert.deepEqual((subschema.checks ?? []).map(kongCheck), checks)
  }
}

function compareFields(fields: Json, wanted: Json, path: string): void {
  const ours = Object.keys(fields).filter((name) => !ADDED.has(`${path}.${name}`))
  assert.deepEqual(ours.toSorted(), Object.keys(wanted).toSorted(), path)
  for (const name of ours) compareField(fields[name], wanted[name], `${path}.${name}`)
}

function compareField(field: Json, wanted: Json, path: string): void {
  for (const key of new Set([...Object.keys(field), ...Object.keys(wanted)])) {
    if (OWN_RULES.has(key) || isMeant(path, key, field)) continue
    if (key === 'fields' || key === 'shorthand_fields') compareFields(field[key] ?? {}, wanted[key] ?? {}, path)
    else if (key === 'elements' || key === 'keys' || key === 'values')
      compareField(field[key], wanted[key], `${path}.${key}`)
    else if (key === 'checks') assert.deepEqual(field[key]?.map(kongCheck), wanted[key], path)
    else assert.deepEqual(field[key], wanted[key], `${path}: ${key}`)
  }
}

/** The differences that are meant, each with its reason. */
function isMeant(path: string, rule: string, field: Json): boolean {
  // More is secret here than what Kong marks: everything by which a caller is let in.
  if (rule === 'encrypted') return field['encrypted'] === true
  // Kong's database refuses null.
  if (path === 'upstreams.slots') return rule === 'ne'
  // Kong draws a new secret whenever the schema is loaded; here it is drawn for each plugin and stored.
  if (path === 'session.secret') return rule === 'default' || rule === 'auto'
  // Kong's has no Redis.
  if (path === 'proxy-cache.strategy') return rule === 'one_of'
  // One more word is taken.
  return path === 'workspaces.name' && rule === 'not_one_of'
}

/** Checks of fields that Kong has. */
function kongChecks(checks: readonly Check[], kind: string): Json[] {
  return checks.filter((check) => !ADDED.has(`${kind}.${(check as Json)['then_field']}`)).map(kongCheck)
}

/** The check without what only this gateway's interpreter reads. */
function kongCheck(check: Check): Json {
  const { name: _name, also: _also, ...rest } = check
  return rest
}
