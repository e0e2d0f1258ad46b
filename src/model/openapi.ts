/** The OpenAPI 3.1 document of the Admin API, from the definitions and the list of its endpoints. */
import type { Model } from './contract.ts'
import { implies } from './json-schema-checks.ts'
import { entityJsonSchema, recordJsonSchema, type JsonSchema } from './json-schema.ts'
import type { PluginSchema } from './schema.ts'

export type DocumentedMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What the document says of an endpoint; the Admin API's own endpoints have this shape. */
export interface DocumentedEndpoint {
  /** `/services/{services}/routes`. */
  readonly path: string
  readonly methods: Partial<Readonly<Record<DocumentedMethod, DocumentedOperation>>>
  readonly isInWorkspace?: boolean
}

export interface DocumentedOperation {
  readonly about: string
  /** The least role that may call it. */
  readonly role: string
  readonly query?: readonly {
    readonly name: string
    readonly about: string
    readonly schema: JsonSchema
    readonly required?: boolean
  }[]
  readonly body?: DocumentedBody
  readonly answers: Readonly<Record<number, DocumentedAnswer>>
}

export type DocumentedBody =
  | { readonly entity: string; readonly partial?: boolean; readonly required?: boolean }
  | { readonly schema: JsonSchema; readonly required?: boolean; readonly takesYaml?: boolean }

export type DocumentedAnswer =
  | { readonly entity: string }
  | { readonly page: string }
  | { readonly schema: JsonSchema }
  | { readonly text: string }
  | 'message'
  | 'error'
  | 'empty'

export interface OpenApiParts {
  readonly model: Model
  readonly endpoints: readonly DocumentedEndpoint[]
  readonly title: string
  readonly version: string
  /** Where the Admin API is reached. */
  readonly servers?: readonly string[]
}

export function openapi({ model, endpoints, title, version, servers = [] }: OpenApiParts): JsonSchema {
  return {
    openapi: '3.1.0',
    info: { title, version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    ...(servers.length === 0 ? {} : { servers: servers.map((url) => ({ url })) }),
    security: [{}, { token: [] }, { bearer: [] }],
    tags: [...new Set(endpoints.map(tagOf))].map((name) => ({ name })),
    paths: Object.fromEntries(endpoints.map((endpoint) => [endpoint.path, pathItem(endpoint)])),
    components: {
      schemas: { ...entitySchemas(model), ...pluginSchemas(model), ...FIXED_SCHEMAS },
      securitySchemes: {
        token: { type: 'apiKey', in: 'header', name: 'Kong-Admin-Token' },
        bearer: { type: 'http', scheme: 'bearer' },
      },
    },
  }
}

function entitySchemas(model: Model): Record<string, JsonSchema> {
  const schemas: Record<string, JsonSchema> = {}
  for (const definition of model.entities.values()) {
    const { kind } = definition
    const built =
      definition.subschemas === 'plugins' ? [...model.plugins.values()].filter(({ name }) => model.built.has(name)) : []
    schemas[kind] = withConfigs(entityJsonSchema(definition, 'request'), built)
    schemas[`${kind}_update`] = withConfigs(entityJsonSchema(definition, 'update'), [])
    schemas[`${kind}_answer`] = entityJsonSchema(definition, 'answer')
    schemas[`${kind}_page`] = {
      type: 'object',
      properties: {
        data: { type: 'array', items: ref(`${kind}_answer`) },
        next: { type: ['string', 'null'], description: 'Path of the next page.' },
        offset: { type: ['string', 'null'] },
      },
      required: ['data', 'next'],
    }
  }
  return schemas
}

/** The configuration has the schema of the plugin that `name` names. */
function withConfigs(schema: JsonSchema, plugins: readonly PluginSchema[]): JsonSchema {
  if (plugins.length === 0) return schema
  const properties = schema['properties'] as Record<string, JsonSchema>
  const conditions = plugins.map(({ name }) =>
    implies(
      { properties: { name: { const: name } }, required: ['name'] },
      { properties: { config: ref(configName(name)) } },
    ),
  )
  return {
    ...schema,
    properties: {
      ...properties,
      name: { type: 'string', enum: plugins.map(({ name }) => name) },
      config: { type: 'object' },
    },
    allOf: [...((schema['allOf'] as JsonSchema[] | undefined) ?? []), ...conditions],
  }
}

function pluginSchemas(model: Model): Record<string, JsonSchema> {
  const built = [...model.plugins.values()].filter(({ name }) => model.built.has(name))
  return Object.fromEntries(
    built.map(({ name, config, shorthand_fields: shorthands, config_checks: checks }) => [
      configName(name),
      {
        title: `Configuration of ${name}`,
        ...recordJsonSchema({ fields: config, shorthands, checks: checks ?? [] }, 'request'),
      },
    ]),
  )
}

function configName(plugin: string): string {
  return `config_of_${plugin.replaceAll('-', '_')}`
}

const FIXED_SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  message: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
  error: {
    type: 'object',
    description: 'What is wrong: by field, or in words alone.',
    properties: {
      message: { type: 'string' },
      name: { type: 'string' },
      code: { type: 'integer' },
      fields: { type: 'object', description: 'Messages by field; `@entity` lists what is wrong with the whole.' },
      options: { type: 'object' },
    },
    required: ['message'],
  },
}

function pathItem(endpoint: DocumentedEndpoint): JsonSchema {
  const parameters = [...endpoint.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    description: `Id or name of one of the ${name}.`,
    schema: { type: 'string', minLength: 1 },
  }))
  const operations = Object.entries(endpoint.methods).map(([method, operation]) => [
    method.toLowerCase(),
    operationObject(endpoint, method as DocumentedMethod, operation),
  ])
  return { ...(parameters.length === 0 ? {} : { parameters }), ...Object.fromEntries(operations) }
}

function operationObject(
  endpoint: DocumentedEndpoint,
  method: DocumentedMethod,
  operation: DocumentedOperation,
): JsonSchema {
  const query = operation.query?.map(({ name, about, schema, required }) => ({
    name,
    in: 'query',
    description: about,
    schema,
    required: required ?? false,
  }))
  return {
    operationId: operationId(endpoint.path, method),
    summary: operation.about,
    tags: [tagOf(endpoint)],
    'x-role': operation.role,
    ...(query === undefined ? {} : { parameters: query }),
    ...(operation.body === undefined ? {} : { requestBody: requestBody(operation.body, method) }),
    responses: Object.fromEntries(
      Object.entries(operation.answers).map(([status, answer]) => [status, response(Number(status), answer)]),
    ),
  }
}

function operationId(path: string, method: DocumentedMethod): string {
  return `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+/g, '_').replace(/_$/, '')}`
}

function tagOf({ path }: DocumentedEndpoint): string {
  return path.split('/')[1] || 'node'
}

function requestBody(body: DocumentedBody, method: DocumentedMethod): JsonSchema {
  const isEntity = 'entity' in body
  const schema = isEntity
    ? ref(body.partial === true || method === 'PATCH' ? `${body.entity}_update` : body.entity)
    : body.schema
  const types = ['application/json', ...(isEntity || !body.takesYaml ? [] : ['application/yaml'])]
  return { required: body.required ?? false, content: Object.fromEntries(types.map((type) => [type, { schema }])) }
}

function response(status: number, answer: DocumentedAnswer): JsonSchema {
  const description = DESCRIPTIONS[status] ?? 'Answered'
  if (answer === 'empty') return { description }
  if (typeof answer === 'object' && 'text' in answer)
    return { description, content: { [answer.text]: { schema: { type: 'string' } } } }
  return { description, content: { 'application/json': { schema: answerSchema(answer) } } }
}

function answerSchema(answer: Exclude<DocumentedAnswer, 'empty' | { readonly text: string }>): JsonSchema {
  if (typeof answer === 'string') return ref(answer)
  if ('entity' in answer) return ref(`${answer.entity}_answer`)
  return 'page' in answer ? ref(`${answer.page}_page`) : answer.schema
}

function ref(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` }
}

const DESCRIPTIONS: Readonly<Record<number, string>> = {
  200: 'Done',
  201: 'Made',
  204: 'Done, nothing to say',
  304: 'Unchanged',
  400: 'The request is wrong; every wrong field is named',
  401: 'A token is needed',
  403: 'Not allowed',
  404: 'Not found',
  405: 'This method is not allowed here',
  409: 'Another entity has this key',
  412: 'The configuration is at another revision',
  413: 'Too large',
  415: 'A body of this type is not taken',
  503: 'Can not be told now; try again',
}
