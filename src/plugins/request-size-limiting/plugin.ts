/** Refuses requests with too big a body, as Kong's request-size-limiting does. */
import { definePlugin, FieldName, type Exchange, type Exit } from '#pdk'
import { schema } from './schema.ts'

const UNIT_BYTES = { megabytes: 1 << 20, kilobytes: 1 << 10, bytes: 1 } as const

/** Up to this limit a body of unknown length is read before it is judged: so much plugins can have whole under all settings. */
const READ_BYTES = 1024

const CONTENT_LENGTH = new FieldName('Content-Length')
const EXPECT = new FieldName('Expect')

interface State {
  /** Infinity for no limit. */
  readonly limitBytes: number
  readonly requiresLength: boolean
}

export const requestSizeLimiting = definePlugin({
  schema,

  prepare({ allowed_payload_size: size, size_unit: unit, require_content_length: requiresLength }): State {
    return { limitBytes: size === null ? Infinity : size * UNIT_BYTES[unit], requiresLength }
  },

  access(exchange, { limitBytes, requiresLength }): void | Exit | Promise<void | Exit> {
    const { body, headers } = exchange.request
    const length = CONTENT_LENGTH.get(headers)
    if (length !== null) return Number(length) > limitBytes ? tooLarge(exchange) : undefined
    // What is chunked has no length by its nature.
    if (requiresLength && !body.exists) return exchange.fail(411, 'A valid Content-Length header is required')
    if (!body.exists || limitBytes === Infinity) return
    if (limitBytes <= READ_BYTES && exchange.route?.request_buffering !== false) return judge(exchange, limitBytes)
    body.limit(limitBytes)
  },
})

async function judge(exchange: Exchange, limitBytes: number): Promise<void | Exit> {
  const read = await exchange.request.body.read(limitBytes)
  if (!Buffer.isBuffer(read) && read.error === 'too_large') return tooLarge(exchange)
}

function tooLarge(exchange: Exchange): Exit {
  const expectation = EXPECT.get(exchange.request.headers)
  const status = expectation !== null && expectation.trim().toLowerCase() === '100-continue' ? 417 : 413
  return exchange.fail(status, 'Request size limit exceeded')
}
