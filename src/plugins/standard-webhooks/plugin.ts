/** Lets webhooks in that their sender signed, as Kong's plugin does it. */
import { definePlugin, FieldName, type Exchange, type Exit } from '#pdk'
import { schema } from './schema.ts'
import { isSigned, keyOf, parseTimestamp } from './signature.ts'

interface State {
  /** Null: nothing is right. */
  readonly key: Buffer | null
  readonly toleranceSeconds: number
}

const ID = new FieldName('webhook-id')
const SIGNATURE = new FieldName('webhook-signature')
const TIMESTAMP = new FieldName('webhook-timestamp')
/** Fifty times of what the specification advises senders to stay under. */
const BODY_LIMIT_BYTES = 1024 * 1024

export const standardWebhooks = definePlugin({
  schema,

  refuse({ secret_v1: secret }) {
    return keyOf(secret) === null ? { field: 'secret_v1', message: "expected base64 after 'whsec_'" } : null
  },

  prepare(config): State {
    return { key: keyOf(config.secret_v1), toleranceSeconds: config.tolerance_second }
  },

  access(exchange, state): Exit | Promise<void | Exit> {
    const { headers, body } = exchange.request
    const id = ID.get(headers)
    const timestamp = TIMESTAMP.get(headers)
    const signatures = SIGNATURE.getAll(headers).join(' ')
    if (id === null || id === '' || timestamp === null || signatures === '' || !body.exists) return refuse(exchange)
    const atSeconds = parseTimestamp(timestamp)
    if (atSeconds === null || Math.abs(Math.floor(exchange.now / 1000) - atSeconds) > state.toleranceSeconds)
      return refuse(exchange)
    // A reference to a vault that leads nowhere is no secret: everybody could sign.
    if (state.key === null) return exchange.fail(500, 'An unexpected error occurred')
    return verify(exchange, state.key, id, timestamp, signatures)
  },
})

async function verify(
  exchange: Exchange,
  key: Buffer,
  id: string,
  timestamp: string,
  signatures: string,
): Promise<void | Exit> {
  const body = await exchange.request.body.read(BODY_LIMIT_BYTES)
  if (!Buffer.isBuffer(body))
    return body.error === 'too_large' ? exchange.fail(413, 'Payload too large') : refuse(exchange)
  if (body.length === 0 || !isSigned(key, id, timestamp, body, signatures)) return refuse(exchange)
}

function refuse(exchange: Exchange): Exit {
  return exchange.fail(400, 'Bad request')
}
