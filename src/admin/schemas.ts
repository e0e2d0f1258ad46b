/** `/schemas/*`: the definitions as clients read them, and checking an entity without storing it. */
import { vaultConfigs } from '#model/entities/vault-configs.ts'
import { kongEntitySchema, kongPluginSchema, kongVaultSchema } from '#model/kong-schema.ts'
import { type Answer, answerJson, answerMessage } from './answer.ts'
import type { AdminRequest, Endpoint, Operation } from './endpoint.ts'
import { inputOf, resolveReferences } from './entity-input.ts'
import { refusedByModel } from './fail.ts'
import type { EntityPorts } from './ports.ts'

export function schemaEndpoints(ports: EntityPorts): Endpoint[] {
  return [
    {
      path: '/schemas/{name}',
      methods: {
        GET: show('The fields of a kind of entity.', ({ parameters }) => entitySchema(ports, parameters['name']!)),
      },
    },
    {
      path: '/schemas/plugins/{name}',
      methods: { GET: show('The fields of one plugin.', ({ parameters }) => pluginSchema(ports, parameters['name']!)) },
    },
    {
      path: '/plugins/schema/{name}',
      methods: {
        GET: show('The config of one plugin (deprecated).', ({ parameters }) =>
          configSchema(ports, parameters['name']!),
        ),
      },
    },
    {
      path: '/schemas/vaults/{name}',
      methods: { GET: show('The fields of one kind of vault.', ({ parameters }) => vaultSchema(parameters['name']!)) },
    },
    {
      path: '/schemas/filters/{name}',
      methods: {
        GET: show('The schema of a wasm filter; there are none.', ({ parameters }) =>
          answerMessage(404, `Filter '${parameters['name']}' not found`),
        ),
      },
    },
    {
      path: '/schemas/{name}/validate',
      methods: { POST: validation((request) => validate(ports, request.parameters['name']!, request)) },
    },
    // Literal, so that a plugin called `validate` is not looked for.
    {
      path: '/schemas/plugins/validate',
      methods: { POST: validation((request) => validate(ports, 'plugins', request)) },
    },
    {
      path: '/schemas/vaults/validate',
      methods: { POST: validation((request) => validate(ports, 'vaults', request)) },
    },
  ]
}

function show(about: string, handler: Operation['handler']): Operation {
  return {
    handler,
    about,
    role: 'viewer',
    answers: {
      200: { schema: { type: 'object', required: ['fields'], properties: { fields: { type: 'array' } } } },
      404: 'message',
    },
  }
}

function validation(handler: Operation['handler']): Operation {
  return {
    handler,
    about: 'Checks an entity without storing it.',
    role: 'viewer',
    body: { schema: { type: 'object' } },
    answers: { 200: 'message', 400: 'error', 404: 'message', 415: 'message' },
  }
}

function entitySchema({ model }: EntityPorts, name: string): Answer {
  const definition = model.entities.get(name)
  return definition === undefined
    ? answerMessage(404, `No entity named '${name}'`)
    : answerJson(200, kongEntitySchema(definition))
}

function pluginSchema({ model }: EntityPorts, name: string): Answer {
  const schema = model.plugins.get(name)
  if (schema === undefined) return answerMessage(404, `No plugin named '${name}'`)
  return answerJson(200, kongPluginSchema(model.entities.get('plugins')!, schema))
}

/** The fields of the config alone: the form before 1.0. */
function configSchema({ model }: EntityPorts, name: string): Answer {
  const schema = model.plugins.get(name)
  if (schema === undefined) return answerMessage(404, `No plugin named '${name}'`)
  const config = kongPluginSchema(model.entities.get('plugins')!, schema).fields.find((field) => 'config' in field)?.[
    'config'
  ]
  return answerJson(200, { fields: (config as { readonly fields?: unknown } | undefined)?.fields ?? [] })
}

function vaultSchema(name: string): Answer {
  const config = vaultConfigs.get(name)
  return config === undefined
    ? answerMessage(404, `No vault named '${name}'`)
    : answerJson(200, kongVaultSchema(config))
}

async function validate(ports: EntityPorts, kind: string, request: AdminRequest): Promise<Answer> {
  const { model, store } = ports
  const definition = model.entities.get(kind)
  if (definition === undefined) return answerMessage(404, `No entity named '${kind}'`)
  const resolved = await resolveReferences(
    model,
    store,
    definition,
    inputOf(model, definition, request.body),
    request.workspace,
  )
  if (!resolved.ok) return resolved.answer
  const checked = model.check(kind, resolved.input, ports.check(request.atMs))
  return checked.ok ? answerMessage(200, 'schema validation successful') : refusedByModel(checked)
}
