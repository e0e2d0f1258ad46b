/**
 * Asks an HTTP service whether a request may pass. It is told of the request in the headers that such services know
 * (`X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri`, `-For`); a 2xx lets pass, 3xx and 4xx are what the client gets.
 */
import { definePlugin, FieldName, type Exchange } from '#pdk'
import type { Outcome } from '#pdk/authentication.ts'
import type { HttpAnswer } from '#pdk/ask-http.ts'
import { safeHeaderValue, safePath } from '#pdk/wire-text.ts'
import type { Decision, HeaderPairs } from '../authorization/decisions.ts'
import { openDecidingService, withBody, type DecidingService } from '../authorization/deciding-service.ts'
import { schema, type Config } from './schema.ts'

interface State extends DecidingService {
  readonly config: Config
  readonly url: URL
  readonly requestFields: readonly FieldName[]
  readonly upstreamFields: readonly FieldName[]
}

export const extAuthz = definePlugin({
  schema,

  refuse({ include_body, method }) {
    return include_body && method === 'GET' ? { field: 'method', message: 'expected POST with include_body' } : null
  },

  prepare(config, tools): State {
    return {
      config,
      url: new URL(config.url),
      ...openDecidingService(schema.name, config, tools),
      requestFields: config.request_headers.map((name) => new FieldName(name)),
      upstreamFields: config.upstream_headers.map((name) => new FieldName(name)),
    }
  },

  access(exchange, state): Outcome {
    return state.config.include_body && exchange.request.body.exists
      ? withBody(exchange, state.config.max_body_bytes, (body) => decide(exchange, state, body))
      : decide(exchange, state, null)
  },

  close({ asker }) {
    asker.close()
  },
})

function decide(exchange: Exchange, state: State, body: Buffer | null): Outcome {
  const headers = headersOf(exchange, state)
  // Only the service may say these.
  for (const field of state.upstreamFields) field.remove(exchange.request.headers)
  const question = `${JSON.stringify(headers)}\n${body?.toString('latin1') ?? ''}`
  return state.decisions.decide(exchange, question, () => ask(state, headers, body))
}

function headersOf({ request, consumer, credential }: Exchange, { requestFields, config }: State) {
  const headers: Record<string, string> = {
    'X-Forwarded-Method': request.method,
    'X-Forwarded-Proto': request.scheme,
    'X-Forwarded-Host': safeHeaderValue(request.hostHeader),
    'X-Forwarded-Uri': safePath(request.rawPath + (request.query === null ? '' : `?${request.query}`)),
    'X-Forwarded-For': request.clientIp,
  }
  for (const field of requestFields) {
    const values = field.getAll(request.headers)
    if (values.length > 0) headers[field.name] = values.join(field.name.toLowerCase() === 'cookie' ? '; ' : ', ')
  }
  if (consumer !== null && credential !== null) headers['X-Consumer-ID'] = consumer.id
  return { ...headers, ...config.extra_headers }
}

async function ask(
  { asker, url, config }: State,
  headers: Readonly<Record<string, string>>,
  body: Buffer | null,
): Promise<Decision> {
  const answer = await asker.ask(url, { method: config.method, headers, body })
  if ('problem' in answer) return { is: 'failed', problem: answer.problem }
  const { status } = answer
  if (status >= 200 && status < 300) return { is: 'allow', headers: picked(answer, config.upstream_headers) }
  if (status < 300 || status >= 500) return { is: 'failed', problem: `${url.host} answered ${status}` }
  return { is: 'deny', status, body: answer.text, headers: picked(answer, config.client_headers) }
}

function picked({ headers }: HttpAnswer, names: readonly string[]): HeaderPairs {
  return names.flatMap((name) => {
    const value = headers[name.toLowerCase()]
    return value === undefined ? [] : [[name, value] as const]
  })
}
