/** Dropping stored responses by key, prefix and tag: on every node, where nodes share a configuration, by its log. */
import { addPurge, EVERYTHING, keyName, PREFIX_SEGMENTS, prefixName, PURGES, tagName } from '#model/cache-names.ts'
import { logPlace } from '#cluster/purge-log.ts'
import type { Document } from '#model/document.ts'
import { nameBasedUuid } from '#core/name-based-uuid.ts'
import { type Answer, answerMessage, NO_CONTENT, withHeaders } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import { inputOf } from './entity-input.ts'
import type { AdminPorts } from './ports.ts'
import { commit, type Plan } from './write.ts'

/** In one request. */
const MOST_NAMES = 1000
const BODY = {
  kind: 'purge',
  about: 'What is to be dropped.',
  fields: {
    keys: { type: 'array', elements: { type: 'string' } },
    prefixes: { type: 'array', elements: { type: 'string' } },
    tags: { type: 'array', elements: { type: 'string' } },
    everything: { type: 'boolean' },
  },
} as const
const TEXTS = { type: 'array', items: { type: 'string' } }

export function purgeEndpoint(ports: AdminPorts): Endpoint {
  return {
    path: '/proxy-cache/purge',
    methods: {
      POST: {
        handler: (request) => purgeAsked(ports, request),
        about:
          'Drops stored responses by what X-Cache-Key says, by prefixes of paths and by tags: on every node that has this configuration, and in the Redis of each data center.',
        role: 'editor',
        body: {
          schema: {
            type: 'object',
            properties: {
              keys: { ...TEXTS, description: 'What X-Cache-Key said.' },
              prefixes: {
                ...TEXTS,
                description: `Paths of whole segments, at most ${PREFIX_SEGMENTS}: /a is /a and all below. With a host before them only its own.`,
              },
              tags: { ...TEXTS, description: 'Of Surrogate-Key and Cache-Tag.' },
              everything: { type: 'boolean' },
            },
          },
          required: true,
        },
        answers: { 204: 'empty', 400: 'message', 415: 'message', 429: 'message', 503: 'message' },
      },
    },
  }
}

async function purgeAsked(ports: AdminPorts, request: AdminRequest): Promise<Answer> {
  const names = namesOf(inputOf(ports.model, BODY, request.body))
  return typeof names === 'string' ? answerMessage(400, names) : await purge(ports, request, names)
}

/** Drops what belongs to the names wherever it is. */
export async function purge(ports: AdminPorts, request: AdminRequest, names: readonly string[]): Promise<Answer> {
  const { responses } = ports
  if (!responses.mayPurge(names.length))
    return withHeaders(answerMessage(429, 'too many names are purged; proxy_cache_purge_rate says how many may be'), {
      'Retry-After': '1',
    })
  if (responses.isInLog) return await commit(ports, request, planOf(names, request.atMs), null, { via: 'purge' })
  const silent = await responses.purge(names)
  if (silent.length === 0) return NO_CONTENT
  return answerMessage(503, `dropped on this node, but not in Redis, which does not answer: ${silent.join(', ')}`)
}

function planOf(names: readonly string[], atMs: number): Plan {
  const purgedAt = Math.floor(atMs / 1000)
  return async (state) => {
    const rows = new Map<number, Row>()
    for (const name of names) {
      const place = logPlace(name)
      const row = rows.get(place) ?? nextRow(place, (await state.get(PURGES, idOf(place)))?.document, purgedAt)
      rows.set(place, row.names.includes(name) ? row : { ...row, names: [...row.names, name] })
    }
    const operations = [...rows.values()].map((document) => ({
      op: 'put' as const,
      kind: PURGES,
      workspace: '',
      document,
    }))
    return { ok: true, operations, answer: NO_CONTENT }
  }
}

interface Row extends Document {
  readonly names: readonly string[]
}

function nextRow(place: number, row: Document | undefined, purgedAt: number): Row {
  const times = Number(row?.['times'] ?? 0) + 1
  return { id: idOf(place), place, names: addPurge(row, purgedAt), times, purged_at: purgedAt }
}

function idOf(place: number): string {
  return nameBasedUuid(NAMESPACE, String(place))
}

const NAMESPACE = '5a0e5f0e-3f52-4e0c-9a86-0d2b4ad0d9c1'

/** The names, or why not. */
function namesOf(input: Readonly<Record<string, unknown>>): readonly string[] | string {
  const { keys, prefixes, tags, everything, ...unknown } = input
  const [stranger] = Object.keys(unknown)
  if (stranger !== undefined) return `${stranger}: expected keys, prefixes, tags or everything`
  if (everything !== undefined && typeof everything !== 'boolean') return 'everything: expected a boolean'
  const names = new Set<string>(everything === true ? [EVERYTHING] : [])
  for (const [field, value, nameOf] of [
    ['keys', keys, nameOfKey],
    ['prefixes', prefixes, nameOfPrefix],
    ['tags', tags, nameOfTag],
  ] as const) {
    if (value === undefined || value === null) continue
    if (!Array.isArray(value)) return `${field}: expected an array of strings`
    for (const [at, text] of value.entries()) {
      const name = typeof text === 'string' ? nameOf(text) : null
      if (name === null) return `${field}[${at}]: expected ${EXPECTED[field]}, got ${JSON.stringify(text)}`
      names.add(name)
    }
  }
  if (names.size === 0) return 'expected keys, prefixes or tags that are not empty, or everything'
  if (names.size > MOST_NAMES) return `expected at most ${MOST_NAMES} names, got ${names.size}`
  return [...names]
}

const EXPECTED = {
  keys: '64 hexadecimal digits as in X-Cache-Key',
  prefixes: `a path such as /a/b of at most ${PREFIX_SEGMENTS} segments, or a host and a path`,
  tags: 'a tag without space and comma',
}

function nameOfKey(text: string): string | null {
  return /^[0-9a-f]{64}$/.test(text) ? keyName(text) : null
}

function nameOfTag(text: string): string | null {
  return /^[^\s,]{1,1000}$/.test(text) ? tagName(text) : null
}

function nameOfPrefix(text: string): string | null {
  const [, host = '', path = ''] = /^([^/?#\s]*)(\/[^?#\s]{0,2000})$/.exec(text) ?? []
  if (path === '' || path.includes('//')) return null
  const segments = path.split('/').filter((segment) => segment !== '').length
  return segments > PREFIX_SEGMENTS ? null : prefixName(host === '' ? null : host, path)
}
