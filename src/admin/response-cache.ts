/** Kong's endpoints for what the plugin proxy-cache has stored. All instances share one store, so those below a plugin only look if it is there. */
import { EVERYTHING, keyName } from '#model/cache-names.ts'
import { type Answer, answerJson, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint, Operation } from './endpoint.ts'
import type { AdminPorts } from './ports.ts'
import { purge, purgeEndpoint } from './purges.ts'

export function responseCacheEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    purgeEndpoint(ports),
    {
      path: '/proxy-cache',
      methods: {
        DELETE: {
          handler: (request) => purge(ports, request, [EVERYTHING]),
          about: 'Drops every response that is stored.',
          role: 'editor',
          answers: { 204: 'empty', 429: 'message', 503: 'message' },
        },
      },
    },
    {
      path: '/proxy-cache/{cache_key}',
      methods: {
        GET: read((request) => show(ports, request)),
        DELETE: drop((request) => remove(ports, request)),
      },
    },
    {
      path: '/proxy-cache/{plugin_id}/caches/{cache_key}',
      methods: {
        GET: read(async (request) => ((await isCache(ports, request)) ? show(ports, request) : NOT_FOUND)),
        DELETE: drop(async (request) => ((await isCache(ports, request)) ? remove(ports, request) : NOT_FOUND)),
      },
    },
  ]
}

function read(handler: Operation['handler']): Operation {
  return {
    handler,
    about: 'A stored response, by what X-Cache-Key said.',
    role: 'admin',
    answers: { 200: { schema: { type: 'object' } }, 404: 'message' },
  }
}

function drop(handler: Operation['handler']): Operation {
  return {
    handler,
    about: 'Drops a stored response.',
    role: 'editor',
    answers: { 204: 'empty', 404: 'message', 429: 'message', 503: 'message' },
  }
}

async function show({ responses }: AdminPorts, { parameters }: AdminRequest): Promise<Answer> {
  const view = await responses.get(parameters['cache_key']!)
  return view === null ? NOT_FOUND : answerJson(200, view)
}

async function remove(ports: AdminPorts, request: AdminRequest): Promise<Answer> {
  const key = request.parameters['cache_key']!
  return (await ports.responses.get(key)) === null ? NOT_FOUND : await purge(ports, request, [keyName(key)])
}

async function isCache({ store }: AdminPorts, { parameters }: AdminRequest): Promise<boolean> {
  const plugin = await store.get('plugins', parameters['plugin_id']!)
  return plugin?.document['name'] === 'proxy-cache'
}
