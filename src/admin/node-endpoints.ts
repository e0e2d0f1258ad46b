/** Endpoints about the node itself: its caches, its log level, and Kong's that this gateway answers with 'not here'. */
import { type Answer, answerJson, answerMessage, NO_CONTENT, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint, Method, Operation } from './endpoint.ts'
import { inputOf } from './entity-input.ts'
import type { AdminPorts } from './ports.ts'

export function nodeEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    {
      path: '/cache',
      methods: {
        DELETE: {
          handler: () => clearCache(ports),
          about: "Empties this node's cache.",
          role: 'editor',
          answers: { 204: 'empty' },
        },
      },
    },
    {
      path: '/cache/{key}',
      methods: {
        GET: {
          handler: (request) => readCache(ports, request),
          about: 'A cached object.',
          role: 'admin',
          answers: { 200: { schema: {} }, 404: 'message' },
        },
        DELETE: {
          handler: (request) => dropFromCache(ports, request),
          about: 'Takes an object out of the cache.',
          role: 'editor',
          answers: { 204: 'empty' },
        },
      },
    },
    {
      path: '/debug/node/log-level',
      methods: {
        GET: {
          handler: () => answerMessage(200, `log level: ${ports.logLevel.current()}`),
          about: 'The log level of this node.',
          role: 'viewer',
          answers: { 200: 'message' },
        },
      },
    },
    { path: '/debug/node/log-level/{level}', methods: { PUT: logLevel(ports) } },
    { path: '/debug/cluster/log-level/{level}', methods: { PUT: logLevel(ports) } },
    { path: '/clustering/data-planes', methods: { GET: notHere(NO_CONTROL_PLANE) } },
    {
      path: '/clustering/status',
      methods: { GET: { ...notHere(NO_CONTROL_PLANE), about: 'Deprecated; only for control planes.' } },
    },
    ...WASM_PATHS.map(
      (path) =>
        ({
          path,
          methods: Object.fromEntries(WASM_METHODS.map((method) => [method, notHere(NO_WASM)])),
        }) satisfies Endpoint,
    ),
  ]
}

const NO_CONTROL_PLANE =
  'this endpoint is only available when Kong is configured to run as Control Plane for the cluster'
const NO_WASM = 'this endpoint is only available when wasm is enabled'
const WASM_METHODS: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const WASM_PATHS = [
  '/filter-chains',
  '/filter-chains/{filter_chains}',
  '/filter-chains/{filter_chains}/route',
  '/filter-chains/{filter_chains}/service',
  '/routes/{routes}/filter-chains',
  '/routes/{routes}/filter-chains/{filter_chains}',
  '/services/{services}/filter-chains',
  '/services/{services}/filter-chains/{filter_chains}',
  '/routes/{routes}/filters/all',
  '/routes/{routes}/filters/enabled',
  '/routes/{routes}/filters/disabled',
]

function notHere(message: string): Operation {
  return {
    handler: () => answerMessage(400, message),
    about: 'Not available in this gateway.',
    role: 'viewer',
    answers: { 400: 'message' },
  }
}

async function clearCache({ caches }: AdminPorts): Promise<Answer> {
  await caches.clear()
  return NO_CONTENT
}

async function readCache({ caches }: AdminPorts, { parameters }: AdminRequest): Promise<Answer> {
  const value = await caches.get(parameters['key']!)
  if (value === undefined) return NOT_FOUND
  return answerJson(200, typeof value === 'object' && value !== null ? value : { message: value })
}

async function dropFromCache({ caches }: AdminPorts, { parameters }: AdminRequest): Promise<Answer> {
  await caches.delete(parameters['key']!)
  return NO_CONTENT
}

const LEVELS = ['debug', 'info', 'notice', 'warn', 'error', 'crit', 'alert', 'emerg']
/** Kong's: a level that was raised to look at something goes back by itself. */
const LEVEL_TIMEOUT_S = 60
const LEVEL_TIMEOUT_MAX_S = 7 * 24 * 3600

function logLevel(ports: AdminPorts): Operation {
  return {
    handler: (request) => setLogLevel(ports, request),
    about: 'Changes the log level for some time.',
    role: 'admin',
    body: {
      schema: {
        type: 'object',
        properties: { timeout: { type: 'integer', minimum: 0, description: 'Seconds; 0 is for ever.' } },
      },
    },
    answers: { 200: 'message', 400: 'message', 415: 'message' },
  }
}

function setLogLevel({ logLevel: port, model }: AdminPorts, { parameters, body }: AdminRequest): Answer {
  const level = parameters['level']!
  if (!LEVELS.includes(level)) return answerMessage(400, `unknown log level: ${level}`)
  const input = inputOf(model, TIMEOUT_BODY, body)
  const timeout = input['timeout'] ?? LEVEL_TIMEOUT_S
  if (typeof timeout !== 'number' || !Number.isFinite(timeout)) return answerMessage(400, 'timeout must be a number')
  if (timeout < 0) return answerMessage(400, 'timeout must be greater than or equal to 0')
  if (timeout > LEVEL_TIMEOUT_MAX_S) return answerMessage(400, `timeout must be at most ${LEVEL_TIMEOUT_MAX_S}`)
  if (port.current() === level) return answerMessage(200, `log level is already ${level}`)
  port.set(level, timeout)
  return answerMessage(200, 'log level changed')
}

const TIMEOUT_BODY = {
  kind: 'log_level',
  about: 'The body of a change of the log level.',
  fields: { timeout: { type: 'number' } },
} as const
