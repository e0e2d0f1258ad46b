/** Kong's endpoints for what the plugin proxy-cache has stored. All instances share one store, so those below a plugin only look if it is there. */
import { type Answer, answerJson, NO_CONTENT, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint, Operation } from './endpoint.ts'
import type { AdminPorts } from './ports.ts'

export function responseCacheEndpoints(ports: AdminPorts): Endpoint[] {
  const { responses } = ports
  return [
    {
      path: '/proxy-cache',
      methods: {
        DELETE: {
          handler: () => {
            responses.clear()
            return NO_CONTENT
          },
          about: 'Drops every response that is stored on this node.',
          role: 'editor',
          answers: { 204: 'empty' },
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
    about: 'Drops a stored response on this node.',
    role: 'editor',
    answers: { 204: 'empty', 404: 'message' },
  }
}

function show({ responses }: AdminPorts, { parameters }: AdminRequest): Answer {
  const view = responses.get(parameters['cache_key']!)
  return view === null ? NOT_FOUND : answerJson(200, view)
}

function remove({ responses }: AdminPorts, { parameters }: AdminRequest): Answer {
  return responses.delete(parameters['cache_key']!) ? NO_CONTENT : NOT_FOUND
}

async function isCache({ store }: AdminPorts, { parameters }: AdminRequest): Promise<boolean> {
  const plugin = await store.get('plugins', parameters['plugin_id']!)
  return plugin?.document['name'] === 'proxy-cache'
}
