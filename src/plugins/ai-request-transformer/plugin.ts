/** Has a language model rewrite the bodies of requests, as Kong's ai-request-transformer does. */
import { definePlugin, FieldName, type Exchange, type Exit } from '#pdk'
import { readLlmBody, refuseLlm } from '../ai/llm-request.ts'
import { openTransformer, refuseTransformer, transform, type Transformer } from '../ai/transformer.ts'
import { schema } from './schema.ts'

const CONTENT_ENCODING = new FieldName('Content-Encoding')

export const aiRequestTransformer = definePlugin({
  schema,
  refuse: refuseTransformer,
  prepare: (config, tools): Transformer => openTransformer(schema.name, config, tools),

  // Without a body there is nothing to rewrite.
  access: (exchange, state) => (exchange.request.body.exists ? rewrite(exchange, state) : undefined),

  close({ asker }) {
    asker.close()
  },
})

async function rewrite(exchange: Exchange, transformer: Transformer): Promise<void | Exit> {
  const { body, headers } = exchange.request
  if (CONTENT_ENCODING.has(headers)) return refuseLlm(exchange, 400, 'request body has a Content-Encoding')
  const bytes = await readLlmBody(exchange, transformer.limitBytes, 'request body could not be read')
  if (!Buffer.isBuffer(bytes)) return bytes
  const text = await transform(exchange, transformer, bytes.toString('utf8'))
  if (typeof text !== 'string') return text
  body.replace(Buffer.from(text))
}
