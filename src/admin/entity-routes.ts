/**
 * The endpoints that follow from the definitions: for every kind its collection and entity, and for every foreign field the
 * entity that it points to (`/routes/{routes}/service`) and, from there, the collection and entity below it
 * (`/services/{services}/routes[/{routes}]`).
 */
import type { EntityDefinition } from '#model/schema.ts'
import type { AnswerShape, Endpoint, QueryParameter } from './endpoint.ts'
import { entityHandlers } from './entity-handlers.ts'
import { type ForeignScope, foreignHandlers } from './foreign-entity.ts'
import type { Scope } from './locate.ts'
import { PAGE_SIZE, PAGE_SIZE_MAX } from './paging.ts'
import type { EntityPorts } from './ports.ts'

/** Every generated endpoint. Kinds of plugins that this gateway can't run have none. */
export function entityEndpoints(ports: EntityPorts): Endpoint[] {
  return [...ports.model.entities.values()]
    .filter((definition) => isServed(ports, definition))
    .flatMap((definition) => endpointsOf(ports, definition))
}

/** Whether a kind has endpoints. */
export function isServed({ model }: Pick<EntityPorts, 'model'>, definition: EntityDefinition): boolean {
  const { plugin, generate_admin_api: isGenerated } = definition
  return isGenerated !== false && (plugin === undefined || model.built.has(plugin))
}

export function collectionName(definition: EntityDefinition): string {
  return definition.admin_api_name ?? definition.kind
}

export function nestedName(definition: EntityDefinition): string {
  return definition.admin_api_nested_name ?? collectionName(definition)
}

export const PAGE_QUERY: readonly QueryParameter[] = [
  {
    name: 'size',
    about: `Rows on a page, ${PAGE_SIZE} when absent.`,
    schema: { type: 'integer', minimum: 1, maximum: PAGE_SIZE_MAX },
  },
  {
    name: 'offset',
    about: 'Where the page starts: `offset` of the page before.',
    schema: { type: 'string', minLength: 1 },
  },
]
const TAGS_QUERY: QueryParameter = {
  name: 'tags',
  about: '`a,b`: rows with all of these tags; `a/b`: with any of them. At most five.',
  schema: { type: 'string', minLength: 1 },
}

const READ_ERRORS = { 400: 'error', 404: 'error' } as const
const WRITE_ERRORS = {
  400: 'error',
  404: 'error',
  409: 'error',
  412: 'message',
  413: 'message',
  415: 'message',
  503: 'message',
} as const

function endpointsOf(ports: EntityPorts, definition: EntityDefinition): Endpoint[] {
  const { kind } = definition
  const path = `/${collectionName(definition)}`
  const endpoints = entityAndCollection(ports, path, { kind })
  for (const [field, { type, reference }] of Object.entries(definition.fields)) {
    const parent = type === 'foreign' ? ports.model.entities.get(reference!) : undefined
    if (parent === undefined || !isServed(ports, parent)) continue
    const below = `/${collectionName(parent)}/{${parent.kind}}/${nestedName(definition)}`
    endpoints.push(foreignEntity(ports, `${path}/{${kind}}/${field}`, { kind, field, target: parent.kind }))
    endpoints.push(...entityAndCollection(ports, below, { kind, parent: { kind: parent.kind, field } }))
  }
  return endpoints
}

function entityAndCollection(ports: EntityPorts, path: string, scope: Scope): Endpoint[] {
  const { kind } = scope
  const handlers = entityHandlers(ports, scope, path)
  const of = scope.parent === undefined ? kind : `${kind} of one of the ${scope.parent.kind}`
  const query = ports.model.entities.get(kind)!.fields['tags'] === undefined ? PAGE_QUERY : [...PAGE_QUERY, TAGS_QUERY]
  const entity: AnswerShape = { entity: kind }
  return [
    {
      path,
      isInWorkspace: true,
      methods: {
        GET: {
          handler: handlers.list,
          about: `Lists the ${of}.`,
          role: 'viewer',
          query,
          answers: { 200: { page: kind }, ...READ_ERRORS },
        },
        POST: {
          handler: handlers.insert,
          about: `Adds to the ${of}.`,
          role: 'editor',
          body: { entity: kind },
          answers: { 201: entity, ...WRITE_ERRORS },
        },
      },
    },
    {
      path: `${path}/{${kind}}`,
      isInWorkspace: true,
      methods: {
        GET: {
          handler: handlers.get,
          about: `One of the ${of}, by id or name.`,
          role: 'viewer',
          answers: { 200: entity, ...READ_ERRORS },
        },
        PUT: {
          handler: handlers.upsert,
          about: `Makes or replaces one of the ${of}.`,
          role: 'editor',
          body: { entity: kind },
          answers: { 200: entity, ...WRITE_ERRORS },
        },
        PATCH: {
          handler: handlers.update,
          about: `Changes some fields of one of the ${of}.`,
          role: 'editor',
          body: { entity: kind, partial: true },
          answers: { 200: entity, ...WRITE_ERRORS },
        },
        DELETE: {
          handler: handlers.remove,
          about: `Deletes one of the ${of}.`,
          role: 'editor',
          answers: { 204: 'empty', ...WRITE_ERRORS },
        },
      },
    },
  ]
}

function foreignEntity(ports: EntityPorts, path: string, scope: ForeignScope): Endpoint {
  const handlers = foreignHandlers(ports, scope)
  const entity: AnswerShape = { entity: scope.target }
  const what = `\`${scope.field}\` of one of the ${scope.kind}`
  return {
    path,
    isInWorkspace: true,
    methods: {
      GET: { handler: handlers.get, about: `The ${what}.`, role: 'viewer', answers: { 200: entity, ...READ_ERRORS } },
      PUT: {
        handler: handlers.upsert,
        about: `Replaces the ${what}, or makes and links one.`,
        role: 'editor',
        body: { entity: scope.target },
        answers: { 200: entity, ...WRITE_ERRORS },
      },
      PATCH: {
        handler: handlers.update,
        about: `Changes some fields of the ${what}.`,
        role: 'editor',
        body: { entity: scope.target, partial: true },
        answers: { 200: entity, ...WRITE_ERRORS },
      },
      DELETE: {
        handler: handlers.remove,
        about: 'Not allowed: delete the entity by its own path.',
        role: 'editor',
        answers: { 405: 'message', ...READ_ERRORS },
      },
    },
  }
}
