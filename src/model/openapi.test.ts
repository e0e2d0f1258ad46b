import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import { openapi, type DocumentedEndpoint } from './openapi.ts'
import { testModel } from './testing.ts'

const model = testModel(pluginSchemas, pluginEntities, ['key-auth', 'cors'])
const endpoints: DocumentedEndpoint[] = [
  {
    path: '/services/{services}',
    methods: {
      GET: { about: 'One of the services.', role: 'viewer', answers: { 200: { entity: 'services' }, 404: 'message' } },
      PATCH: {
        about: 'Changes it.',
        role: 'editor',
        body: { entity: 'services', partial: true },
        answers: { 200: { entity: 'services' }, 400: 'error' },
      },
      DELETE: { about: 'Deletes it.', role: 'editor', answers: { 204: 'empty' } },
    },
  },
  {
    path: '/plugins',
    methods: {
      GET: {
        about: 'Lists the plugins.',
        role: 'viewer',
        query: [{ name: 'size', about: 'Rows.', schema: { type: 'integer' } }],
        answers: { 200: { page: 'plugins' } },
      },
      POST: {
        about: 'Adds one.',
        role: 'editor',
        body: { entity: 'plugins' },
        answers: { 201: { entity: 'plugins' } },
      },
    },
  },
]
const document = openapi({ model, endpoints, title: 'Admin API', version: '1' }) as any

test('every reference in the document leads to a schema', () => {
  const text = JSON.stringify(document)
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g))
    assert.ok(Object.hasOwn(document.components.schemas, name!), name!)
})

test('every schema compiles', () => {
  const ajv = new Ajv2020({ strict: false, unicodeRegExp: false, validateFormats: false })
  ajv.addSchema({ $id: 'doc', components: document.components })
  for (const name of Object.keys(document.components.schemas)) ajv.compile({ $ref: `doc#/components/schemas/${name}` })
})

test('the configuration of a plugin has the schema of that plugin, and plugins that are not built are not offered', () => {
  const ajv = new Ajv2020({ strict: false, unicodeRegExp: false, validateFormats: false })
  ajv.addSchema({ $id: 'doc', components: document.components })
  const validate = ajv.compile({ $ref: 'doc#/components/schemas/plugins' })
  assert.equal(validate({ name: 'key-auth', config: { key_names: ['k'] } }), true)
  assert.equal(validate({ name: 'key-auth', config: { origins: ['*'] } }), false)
  assert.equal(validate({ name: 'cors', config: { origins: ['*'] } }), true)
  assert.equal(validate({ name: 'acl', config: { allow: ['a'] } }), false)
})

test('an operation has an id of its own, its parameters, its body and its answers', () => {
  const item = document.paths['/services/{services}']
  assert.equal(item.parameters[0].name, 'services')
  assert.equal(item.patch.operationId, 'patch_services_services')
  assert.deepEqual(item.patch.requestBody.content['application/json'].schema, {
    $ref: '#/components/schemas/services_update',
  })
  assert.deepEqual(Object.keys(item.delete.responses), ['204'])
  assert.equal(document.paths['/plugins'].get.parameters[0].in, 'query')
})
