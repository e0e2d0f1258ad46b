/** What plugins share that ask an HTTP service about each request: how it is asked, what of its answers is kept, and the body that it is told. */
import type { Exchange, PluginTools } from '#pdk'
import { HttpAsker } from '#pdk/ask-http.ts'
import type { Outcome } from '#pdk/authentication.ts'
import { Decisions } from './decisions.ts'
import type { DecidingConfig } from './schema.ts'

const ANSWER_BYTES_MAX = 256 * 1024
const CONNECTIONS = 32
const KEEPALIVE_MS = 60_000

export interface DecidingService {
  readonly asker: HttpAsker
  readonly decisions: Decisions
}

export function openDecidingService(
  plugin: string,
  config: DecidingConfig,
  { lookup, trusted, log, metrics }: PluginTools,
): DecidingService {
  return {
    asker: new HttpAsker({
      timeoutMs: config.timeout,
      connections: CONNECTIONS,
      keepaliveMs: KEEPALIVE_MS,
      isVerified: config.ssl_verify,
      trusted,
      lookup,
      answerBytesMax: ANSWER_BYTES_MAX,
    }),
    decisions: new Decisions({ plugin, ttlS: config.cache_ttl, failsOpen: config.fail_open, log, metrics }),
  }
}

/** Decides with the whole body, or refuses the request: a service that sees a part of a body may say yes to the rest. */
export async function withBody(
  exchange: Exchange,
  bytesMax: number,
  decide: (body: Buffer) => Outcome,
): Promise<Awaited<Outcome>> {
  const bytes = await exchange.request.body.read(bytesMax)
  if (Buffer.isBuffer(bytes)) return decide(bytes)
  return bytes.error === 'too_large' ? exchange.fail(413, 'Payload Too Large') : exchange.fail(400, 'Bad Request')
}
