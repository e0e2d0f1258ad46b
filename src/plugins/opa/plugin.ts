/** Asks an Open Policy Agent whether a request may pass, by its data API, with the configuration of Kong's plugin of that name. */
import { definePlugin, type Exchange } from '#pdk'
import type { Outcome } from '#pdk/authentication.ts'
import { HttpAsker } from '#pdk/ask-http.ts'
import { Decisions, type Decision } from '../authorization/decisions.ts'
import { inputOf } from './input.ts'
import { decisionOf } from './result.ts'
import { schema, type Config } from './schema.ts'

interface State {
  readonly config: Config
  readonly url: URL
  readonly asker: HttpAsker
  readonly decisions: Decisions
  readonly needsBody: boolean
}

const ANSWER_BYTES_MAX = 256 * 1024
const CONNECTIONS = 32
const KEEPALIVE_MS = 60_000

export const opa = definePlugin({
  schema,

  prepare(config, { lookup, trusted, log, metrics }): State {
    const host = config.opa_host.includes(':') ? `[${config.opa_host}]` : config.opa_host
    return {
      config,
      url: new URL(`${config.opa_protocol}://${host}:${config.opa_port}${config.opa_path}`),
      asker: new HttpAsker({
        timeoutMs: config.timeout,
        connections: CONNECTIONS,
        keepaliveMs: KEEPALIVE_MS,
        isVerified: config.ssl_verify,
        trusted,
        lookup,
        answerBytesMax: ANSWER_BYTES_MAX,
      }),
      decisions: new Decisions({
        plugin: schema.name,
        ttlS: config.cache_ttl,
        failsOpen: config.fail_open,
        log,
        metrics,
      }),
      needsBody: config.include_body_in_opa_input || config.include_parsed_json_body_in_opa_input,
    }
  },

  access(exchange, state): Outcome {
    return state.needsBody && exchange.request.body.exists ? withBody(exchange, state) : decide(exchange, state, null)
  },

  close({ asker }) {
    asker.close()
  },
})

async function withBody(exchange: Exchange, state: State): Promise<Awaited<Outcome>> {
  const bytes = await exchange.request.body.read(state.config.max_body_bytes)
  // A policy that sees a part of a body may say yes to the rest.
  if (!Buffer.isBuffer(bytes))
    return bytes.error === 'too_large' ? exchange.fail(413, 'Payload Too Large') : exchange.fail(400, 'Bad Request')
  return decide(exchange, state, bytes)
}

function decide(exchange: Exchange, state: State, body: Buffer | null): Outcome {
  const question = JSON.stringify({ input: inputOf(exchange, state.config, body) })
  return state.decisions.decide(exchange, question, () => ask(state, question))
}

async function ask({ asker, url }: State, question: string): Promise<Decision> {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json' }
  const answer = await asker.ask(url, { method: 'POST', headers, body: question })
  if ('problem' in answer) return { is: 'failed', problem: answer.problem }
  return answer.status === 200
    ? decisionOf(answer.text)
    : { is: 'failed', problem: `${url.host} answered ${answer.status}` }
}
