/** Serves language models of any provider in OpenAI's form, as Kong's ai-proxy does. */
import { definePlugin, FieldName, type Exchange, type Exit, type ResponseHold } from '#pdk'
import { parseAnswer } from '../ai/ask-model.ts'
import { isExit, refuseLlm, refuseLlmFormat } from '../ai/llm-request.ts'
import { openaiAnswer } from '../ai/openai-form.ts'
import { codingsOf, plainBody } from '../ai/plain-body.ts'
import { formOf, refuseProvider } from '../ai/provider.ts'
import { hasPlace } from '../ai/provider-url.ts'
import { logModelUse } from '../ai/usage-log.ts'
import { AnswerStream } from './answer-stream.ts'
import { readCall, type Call } from './call.ts'
import { fillModel, refuseFields } from './model-fields.ts'
import { usageOf, wholeAnswer, type AnswerFrame } from './openai-answer.ts'
import { schema, type Config } from './schema.ts'
import { openState, type State } from './state.ts'
import { estimatedPromptTokens, Tally } from './tally.ts'
import { hideKeys, sendToModel } from './target.ts'

/** What one exchange asked, and what its answer has used so far. */
interface Use {
  readonly call: Call
  readonly tally: Tally
  /** The stream of events was taken whole, and is translated already. */
  isTranslated: boolean
  /** The answer in OpenAI's form, where it is logged. */
  answered: string
}

const USE = 'ai-proxy'
const MODEL = new FieldName('X-Kong-LLM-Model')
const CONTENT_TYPE = new FieldName('Content-Type')
const CONTENT_ENCODING = new FieldName('Content-Encoding')
const SET_COOKIE = new FieldName('Set-Cookie')
/** Answers with images in them are the longest. */
const ANSWER_BYTES_MAX = 32 << 20

export const aiProxy = definePlugin({
  schema,
  refuse: refusalOf,
  prepare: openState,

  access: (exchange, state) => (state.config.route_type === 'preserve' ? pass(exchange, state) : ask(exchange, state)),

  responseHold(exchange, state): ResponseHold | null {
    const use = answeredUse(exchange)
    if (use === null) return null
    const { headers } = exchange.response
    // What is streamed goes on as it comes, unless it has to be decompressed first.
    if (use.call.isStreamed && codingsOf(headers).length === 0) return null
    return {
      limitBytes: ANSWER_BYTES_MAX,
      timeoutMs: exchange.upstream.readTimeoutMs,
      take: (body) => answerOf(exchange, state, use, body),
      refuse: (reason) =>
        reason === 'timeout'
          ? refuseLlm(exchange, 504, 'the AI service did not answer in time')
          : refuseLlm(exchange, 502, 'the answer of the AI service is too long'),
    }
  },

  responseHeaders(exchange, { config }) {
    const use = answeredUse(exchange)
    if (use === null) return
    const { headers } = exchange.response
    CONTENT_TYPE.set(headers, use.call.isStreamed ? 'text/event-stream' : 'application/json')
    // Of the provider's own clients; a cookie for another host is none of ours to give out.
    SET_COOKIE.remove(headers)
    if (config.model_name_header === true) MODEL.set(headers, `${config.model.provider}/${use.call.model}`)
  },

  responseBody(exchange, state) {
    const use = answeredUse(exchange)
    if (use === null || !use.call.isStreamed || use.isTranslated) return null
    return openStream(exchange, state, use)
  },

  redact: hideKeys,

  log(exchange, state) {
    const use = exchange.recall(USE) as Use | undefined
    if (use === undefined || exchange.upstreamStatus === 0) return
    const { call, tally } = use
    const { config, model, tools } = state
    // Kong's estimates, for services that don't count what they stream.
    const isGuessed = call.isStreamed && exchange.upstreamStatus === 200 && tally.completionTokens === null
    logModelUse(exchange, 'proxy', config.logging, {
      pluginId: tools.pluginId,
      model,
      requestModel: call.model,
      responseModel: tally.model ?? call.model,
      latencyMs: Math.max(0, exchange.totalLatencyMs - Math.max(0, exchange.proxyLatencyMs)),
      promptTokens: tally.promptTokens ?? (isGuessed ? estimatedPromptTokens(call.messages, call.prompt) : 0),
      completionTokens: tally.completionTokens ?? (isGuessed ? tally.estimatedTokens : 0),
      asked: call.asked.toString('utf8'),
      answered: call.isStreamed ? streamedText(call, tally) : use.answered,
    })
  },
})

function refusalOf(config: Config): { readonly field: string; readonly message: string } | null {
  const problem = refuseProvider(config) ?? refuseFields(config.model) ?? refuseLlmFormat(config.llm_format)
  if (problem !== null) return problem
  const { model, route_type: routeType } = config
  const form = formOf(model)
  if ((routeType === 'llm/v1/completions' && form.encodePrompt === null) || !hasPlace(model, routeType))
    return { field: 'route_type', message: `'${routeType}' is not available for the provider ${model.provider}` }
  if (config.response_streaming === 'always' && form.openEvents === null)
    return { field: 'response_streaming', message: "'always' is not available with llama2_format raw" }
  if (routeType !== 'preserve') return null
  if (config.auth?.param_location === 'body')
    return { field: 'auth.param_location', message: "'body' is not available with route_type preserve" }
  return null
}

/** The request as it is, at the service. */
function pass(exchange: Exchange, state: State): void | Exit {
  const model = state.isFilled ? fillModel(exchange, state.model) : state.model
  if ('problem' in model) return refuseLlm(exchange, 400, model.problem)
  sendToModel(exchange, state, model, model.name ?? '', false)
}

async function ask(exchange: Exchange, state: State): Promise<void | Exit> {
  const call = await readCall(exchange, state)
  if (isExit(call)) return call
  sendToModel(exchange, state, call.settings, call.model, call.isStreamed)
  exchange.request.body.replace(call.sent)
  const tally = new Tally(state.config.logging.log_payloads)
  exchange.shared.set(USE, { call, tally, isTranslated: false, answered: '' } satisfies Use)
}

/** What was asked, where the service has answered that; errors of services go to clients as they are. */
function answeredUse(exchange: Exchange): Use | null {
  if (exchange.upstreamStatus !== 200 || exchange.response.source !== 'service') return null
  return (exchange.recall(USE) as Use | undefined) ?? null
}

function frameOf(exchange: Exchange, { isChat, model }: Call): AnswerFrame {
  return {
    isChat,
    id: `${isChat ? 'chatcmpl' : 'cmpl'}-${exchange.id}`,
    created: Math.floor(exchange.startedAtMs / 1000),
    model,
  }
}

function openStream(exchange: Exchange, { form, isOpenai }: State, { call, tally }: Use): AnswerStream {
  return new AnswerStream({ form, frame: frameOf(exchange, call), tally, tellsUsage: call.wantsUsage, isOpenai })
}

/** The whole answer in OpenAI's form. */
async function answerOf(exchange: Exchange, state: State, use: Use, body: Buffer): Promise<Buffer | Exit> {
  const { headers } = exchange.response
  const plain = await plainBody(body, codingsOf(headers), ANSWER_BYTES_MAX)
  if (!Buffer.isBuffer(plain)) return unusable(exchange, state, `can't be decompressed: ${plain}`)
  CONTENT_ENCODING.remove(headers)
  if (use.call.isStreamed) {
    use.isTranslated = true
    const stream = openStream(exchange, state, use)
    return Buffer.concat([stream.chunk(plain) ?? NO_BYTES, stream.end() ?? NO_BYTES])
  }
  const value = parseAnswer(plain.toString('utf8'))
  const answer = state.isOpenai ? openaiAnswer(value) : state.form.decode(value)
  if (answer === null) return unusable(exchange, state, 'is in another form than expected')
  state.hasWarned = false
  use.tally.add(answer)
  const bytes = state.isOpenai ? plain : Buffer.from(JSON.stringify(wholeAnswer(frameOf(exchange, use.call), answer)))
  if (state.config.logging.log_payloads) use.answered = bytes.toString('utf8')
  return bytes
}

const NO_BYTES = Buffer.alloc(0)

function unusable(exchange: Exchange, state: State, problem: string): Exit {
  if (!state.hasWarned)
    state.tools.log.warn(
      { plugin: schema.name, provider: state.model.provider, problem },
      'answers of a language model can not be used',
    )
  state.hasWarned = true
  return refuseLlm(exchange, 500, `the answer of the AI service ${problem}`)
}

/** What Kong logs in place of the events of a stream. */
function streamedText({ isChat }: Call, tally: Tally): string {
  const said = isChat ? { message: { role: 'assistant', content: tally.text } } : { text: tally.text }
  return JSON.stringify({
    choices: [{ index: 0, ...said, logprobs: null, finish_reason: tally.finish }],
    object: isChat ? 'chat.completion' : 'text_completion',
    usage: usageOf(tally),
  })
}
