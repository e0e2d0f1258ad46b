/** Asks an Open Policy Agent whether a request may pass, by its data API, with the configuration of Kong's plugin of that name. */
import { definePlugin, type Exchange } from '#pdk'
import type { Outcome } from '#pdk/authentication.ts'
import type { Decision } from '../authorization/decisions.ts'
import { openDecidingService, withBody, type DecidingService } from '../authorization/deciding-service.ts'
import { inputOf } from './input.ts'
import { decisionOf } from './result.ts'
import { schema, type Config } from './schema.ts'

interface State extends DecidingService {
  readonly config: Config
  readonly url: URL
  readonly needsBody: boolean
}

export const opa = definePlugin({
  schema,

  prepare(config, tools): State {
    const host = config.opa_host.includes(':') ? `[${config.opa_host}]` : config.opa_host
    return {
      config,
      url: new URL(`${config.opa_protocol}://${host}:${config.opa_port}${config.opa_path}`),
      ...openDecidingService(schema.name, config, tools),
      needsBody: config.include_body_in_opa_input || config.include_parsed_json_body_in_opa_input,
    }
  },

  access(exchange, state): Outcome {
    return state.needsBody && exchange.request.body.exists
      ? withBody(exchange, state.config.max_body_bytes, (body) => decide(exchange, state, body))
      : decide(exchange, state, null)
  },

  close({ asker }) {
    asker.close()
  },
})

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
