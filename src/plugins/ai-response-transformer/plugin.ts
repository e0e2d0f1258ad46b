/** Has a language model rewrite responses before the client gets anything of them, as Kong's ai-response-transformer does. */
import { definePlugin, FieldName, type Exchange, type Exit, type ResponseHold } from '#pdk'
import { utf8Text } from '#pdk/json-text.ts'
import { refuseLlm } from '../ai/llm-request.ts'
import { codingsOf, plainBody } from '../ai/plain-body.ts'
import { openTransformer, refuseTransformer, transform, type Transformer } from '../ai/transformer.ts'
import { parseInstructions } from './instructions.ts'
import { schema } from './schema.ts'

interface State extends Transformer {
  /** Whether the model answers with a whole response in place of a body. */
  readonly isInstructed: boolean
}

/** What is told of a body holds for the one that came only. */
const OF_THE_BODY = [
  'Content-Encoding',
  'Content-Length',
  'Content-Range',
  'Accept-Ranges',
  'ETag',
  'Content-Digest',
  'Repr-Digest',
  'Digest',
  'Content-MD5',
].map((name) => new FieldName(name))

/** The model's own deadline comes first. */
const GRACE_MS = 1000

export const aiResponseTransformer = definePlugin({
  schema,
  refuse: refuseTransformer,

  prepare(config, tools): State {
    const transformer = openTransformer(schema.name, config, tools)
    return { ...transformer, isInstructed: config.parse_llm_response_json_instructions }
  },

  responseHold: (exchange, state): ResponseHold => ({
    limitBytes: state.limitBytes,
    timeoutMs: state.config.http_timeout + GRACE_MS,
    take: (body) => rewrite(exchange, state, body),
    refuse: (reason) =>
      reason === 'timeout'
        ? refuseLlm(exchange, 504, 'the response could not be transformed in time')
        : tooLarge(exchange, state),
  }),

  close({ asker }) {
    asker.close()
  },
})

async function rewrite(exchange: Exchange, state: State, body: Buffer): Promise<Buffer | Exit> {
  const { response } = exchange
  const plain = await plainBody(body, codingsOf(response.headers), state.limitBytes)
  if (plain === 'too_large') return tooLarge(exchange, state)
  const text = Buffer.isBuffer(plain) ? utf8Text(plain) : null
  if (text === null) return refuseLlm(exchange, 500, 'the response body is no text in UTF-8, in a known encoding')
  const said = await transform(exchange, state, text)
  if (typeof said !== 'string') return said
  if (!state.isInstructed) return changed(exchange, said)
  const instructions = parseInstructions(said)
  if ('problem' in instructions)
    return refuseLlm(
      exchange,
      500,
      `failed to parse JSON response instructions from AI backend: ${instructions.problem}`,
    )
  response.status = instructions.status
  for (const [name, value] of instructions.headers) response.headers.set(name, value)
  return changed(exchange, instructions.body)
}

function changed(exchange: Exchange, text: string): Buffer {
  for (const field of OF_THE_BODY) field.remove(exchange.response.headers)
  return Buffer.from(text)
}

function tooLarge(exchange: Exchange, { limitBytes }: State): Exit {
  return refuseLlm(exchange, 500, `response body is larger than max_request_body_size (${limitBytes} bytes)`)
}
