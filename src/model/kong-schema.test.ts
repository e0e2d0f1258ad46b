import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pluginSchemas } from '#plugins/schemas.ts'
import { coreEntities } from './entities/index.ts'
import { kongEntitySchema, kongPluginSchema, kongVaultSchema, type Named } from './kong-schema.ts'

const definitionOf = (kind: string) => coreEntities.find((definition) => definition.kind === kind)!
const schemaOf = (name: string) => pluginSchemas.find((schema) => schema.name === name)!
const field = (fields: readonly Named[] | undefined, name: string): any =>
  fields?.find((entry) => name in entry)?.[name]

test('fields are a list of objects with one key, with the rules that Kong shows', () => {
  const { fields } = kongEntitySchema(definitionOf('services'))
  assert.deepEqual(field(fields, 'id'), { type: 'string', auto: true, uuid: true })
  assert.deepEqual(field(fields, 'retries'), { type: 'integer', default: 5, between: [0, 32767] })
  assert.deepEqual(field(fields, 'client_certificate'), { type: 'foreign', reference: 'certificates' })
  assert.ok(fields.every((entry) => Object.keys(entry).length === 1))
})

test('nested records, elements and their checks have the same form', () => {
  const { fields } = kongEntitySchema(definitionOf('routes'))
  const { elements } = field(fields, 'sources')
  assert.deepEqual(field(elements.fields, 'port'), { type: 'integer', between: [0, 65535] })
  assert.deepEqual(elements.entity_checks, [{ at_least_one_of: ['ip', 'port'] }])
})

test('checks have their name as key, checks in code only their fields', () => {
  const { entity_checks: checks } = kongEntitySchema(definitionOf('certificates'))
  assert.deepEqual(checks?.slice(0, 2), [
    { mutually_required: ['cert_alt', 'key_alt'] },
    { custom_entity_check: { field_sources: ['cert', 'key'] } },
  ])
  assert.deepEqual(kongEntitySchema(definitionOf('services')).entity_checks?.[0], {
    conditional: {
      if_field: 'protocol',
      if_match: { one_of: ['tcp', 'tls', 'udp', 'grpc', 'grpcs'] },
      then_field: 'path',
      then_match: { eq: null },
    },
  })
})

test('the schema of a plugin shows what it makes of the plugin entity', () => {
  const { fields } = kongPluginSchema(definitionOf('plugins'), schemaOf('key-auth'))
  assert.deepEqual(fields.flatMap((entry) => Object.keys(entry)).toSorted(), ['config', 'consumer', 'protocols'])
  assert.equal(field(fields, 'config').type, 'record')
  assert.equal(field(fields, 'config').required, true)
  assert.deepEqual(field(field(fields, 'config').fields, 'key_names').default, ['apikey'])
  assert.deepEqual(field(fields, 'consumer'), { type: 'foreign', reference: 'consumers', eq: null })
})

test('old names say what replaced them, as a path', () => {
  const { fields } = kongPluginSchema(definitionOf('plugins'), schemaOf('rate-limiting'))
  const old = field(field(fields, 'config').shorthand_fields, 'redis_host')
  assert.deepEqual(old.deprecation.replaced_with, [{ path: ['redis', 'host'] }])
  assert.deepEqual(old.translate_backwards, ['redis', 'host'])
})

test('the schema of a vault is its configuration', () => {
  const { fields } = kongVaultSchema({
    type: 'record',
    fields: { prefix: { type: 'string', match: '^[a-z]+$' } },
  })
  assert.deepEqual(field(fields, 'config').fields, [{ prefix: { type: 'string', match: '^[a-z]+$' } }])
})

test('every schema can be sent as JSON', () => {
  for (const definition of coreEntities)
    assert.deepEqual(JSON.parse(JSON.stringify(kongEntitySchema(definition))), kongEntitySchema(definition))
})
