/** `/debug/route`: why a request matches a route, or not. The request is described by the query. */
import { type Answer, answerJson, answerMessage } from './answer.ts'
import type { AdminRequest, Endpoint, QueryParameter } from './endpoint.ts'
import type { AdminPorts } from './ports.ts'

const PARAMETERS: readonly QueryParameter[] = [
  { name: 'method', about: 'GET when absent.', schema: { type: 'string' } },
  { name: 'scheme', about: 'http (when absent) or https.', schema: { type: 'string', enum: ['http', 'https'] } },
  { name: 'host', about: 'The Host header, with a port if it has one.', schema: { type: 'string' } },
  { name: 'path', about: 'The path with its query, `/` when absent.', schema: { type: 'string' } },
  { name: 'sni', about: 'The TLS server name.', schema: { type: 'string' } },
]
/** Names besides `header.<name>`. */
const NAMES = new Set(PARAMETERS.map(({ name }) => name))

export function routeExplainEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    {
      path: '/debug/route',
      methods: {
        GET: {
          handler: (request) => explain(ports, request),
          about:
            'Explains which route a request matches, and why the others do not. Headers are given as `header.<name>=<value>`.',
          role: 'viewer',
          query: PARAMETERS,
          answers: { 200: { schema: { type: 'object' } }, 400: 'message' },
        },
      },
    },
  ]
}

async function explain(ports: AdminPorts, { query }: AdminRequest): Promise<Answer> {
  const unknown = query.names.find((name) => !NAMES.has(name) && !/^header\.[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
  if (unknown !== undefined)
    return answerMessage(400, `${unknown}: unknown parameter; expected ${[...NAMES].join(', ')} or header.<name>`)
  const twice = [...NAMES].find((name) => query.one(name) === null)
  if (twice !== undefined) return answerMessage(400, `${twice}: expected one value`)
  const method = query.one('method') ?? 'GET'
  const scheme = query.one('scheme') ?? 'http'
  const target = query.one('path') ?? '/'
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) return answerMessage(400, 'method: expected a token such as GET')
  if (scheme !== 'http' && scheme !== 'https') return answerMessage(400, 'scheme: expected http or https')
  if (!target.startsWith('/')) return answerMessage(400, 'path: expected a path that starts with /')
  const at = target.indexOf('?')
  const headers = query.names
    .filter((name) => name.startsWith('header.'))
    .flatMap((name) => query.all(name).map((value) => [name.slice('header.'.length), value] as const))
  return answerJson(
    200,
    await ports.explain({
      method,
      scheme,
      host: query.one('host') ?? '',
      path: at < 0 ? target : target.slice(0, at),
      query: at < 0 ? null : target.slice(at + 1),
      sni: query.one('sni') ?? null,
      headers,
    }),
  )
}
