/** Compresses responses for the clients that take that: gzip, brotli, zstd, by content type. */
import { definePlugin, FieldName, type BodyEncoding, type Exchange, type MetricsSink } from '#pdk'
import { EncodingChoice, type Encoding } from './accept-encoding.ts'
import { ContentTypes, mediaType } from './content-types.ts'
import { CompressedBody, type StreamTally } from './encoder.ts'
import { weakenTag, weakenTagAsAsked } from './entity-tag.ts'
import { schema, type Config } from './schema.ts'

const ACCEPT_ENCODING = new FieldName('Accept-Encoding')
const CONTENT_TYPE = new FieldName('Content-Type')
const CONTENT_ENCODING = new FieldName('Content-Encoding')
const ACCEPT_RANGES = new FieldName('Accept-Ranges')
const CACHE_CONTROL = new FieldName('Cache-Control')
const VARY = new FieldName('Vary')
/** Digests of the bytes as they are: who sends one wants them to arrive so (RFC 9530; Content-MD5 and Digest before it). */
const DIGESTS = ['Content-Digest', 'Repr-Digest', 'Digest', 'Content-MD5'].map((name) => new FieldName(name))
const NO_TRANSFORM = /(?:^|[,\s])no-transform(?:$|[,\s])/i
const LISTS_ACCEPT_ENCODING = /(?:^|,)\s*(?:\*|accept-encoding)\s*(?:,|$)/i
/** Types whose receivers wait for each piece. */
const STREAMED_TYPES = new Set(['text/event-stream', 'application/x-ndjson', 'application/json-seq'])
/** Of what the client accepts, where the upstream is not told. */
const ACCEPTED = 'compression'

interface State {
  readonly config: Config
  readonly choice: EncodingChoice
  readonly types: ContentTypes
  readonly tally: StreamTally
  readonly metrics: MetricsSink
}

export const compression = definePlugin({
  schema,

  refuse({ encodings }) {
    const twice = encodings.find((one, at) => encodings.indexOf(one) !== at)
    return twice === undefined ? null : { field: 'encodings', message: `expected each once, got '${twice}' twice` }
  },

  prepare(config, { metrics }): State {
    return {
      config,
      choice: new EncodingChoice(config.encodings as readonly Encoding[]),
      types: new ContentTypes(config.types),
      metrics,
      tally: {
        open: 0,
        ended: (encoding, bytesIn, bytesOut) => {
          metrics.counted(schema.name, encoding)
          metrics.countedBytes(schema.name, 'in', bytesIn)
          metrics.countedBytes(schema.name, 'out', bytesOut)
        },
      },
    }
  },

  access(exchange, { config }): void {
    if (!config.uncompressed_upstream) return
    const { headers } = exchange.request
    const accepted = acceptedBy(exchange)
    if (accepted === null) return
    exchange.shared.set(ACCEPTED, accepted)
    ACCEPT_ENCODING.remove(headers)
  },

  responseEncoding(exchange, state, length): BodyEncoding | null {
    const { config, choice, tally } = state
    const { headers, status } = exchange.response
    if (status === 304) {
      if (choice.of(acceptedBy(exchange)).encoding !== null) weakenTagAsAsked(exchange)
      return null
    }
    const type = mediaType(CONTENT_TYPE.get(headers))
    // Messages of gRPC say themselves how they are compressed.
    if (!mayBeEncoded(exchange) || !state.types.has(type) || type.startsWith('application/grpc')) return null
    vary(exchange)
    const { encoding, refusesIdentity } = choice.of(acceptedBy(exchange))
    if (encoding === null) return null
    if (length === 0 || (length > 0 && length < config.min_length && !refusesIdentity)) return null
    if (tally.open >= config.max_streams) {
      state.metrics.counted(schema.name, 'passed_busy')
      return null
    }
    CONTENT_ENCODING.set(headers, encoding)
    // A range of what is compressed now can't be had of the upstream.
    ACCEPT_RANGES.remove(headers)
    weakenTag(headers)
    return new CompressedBody(encoding, config, STREAMED_TYPES.has(type) ? 0 : config.flush_after, tally)
  },
})

function acceptedBy(exchange: Exchange): string | null {
  const kept = exchange.recall(ACCEPTED) as string | undefined
  if (kept !== undefined) return kept
  const values = ACCEPT_ENCODING.getAll(exchange.request.headers)
  return values.length === 0 ? null : values.join(',')
}

/** Whether the response is whole, not encoded yet, and whoever made and asked for it lets it be changed. */
function mayBeEncoded({ request, response: { headers, status } }: Exchange): boolean {
  if (status < 200 || status === 204 || status === 206) return false
  const encoding = CONTENT_ENCODING.get(headers)
  if (encoding !== null && encoding.trim().toLowerCase() !== 'identity') return false
  // RFC 9110 7.7, RFC 9111 5.2.1.6.
  if (forbids(CACHE_CONTROL.getAll(headers)) || forbids(CACHE_CONTROL.getAll(request.headers))) return false
  return !DIGESTS.some((digest) => digest.has(headers))
}

function forbids(cacheControl: readonly string[]): boolean {
  return cacheControl.some((value) => NO_TRANSFORM.test(value))
}

/** Caches must not give it to clients that take other encodings (RFC 9111 4.1). */
function vary({ response: { headers } }: Exchange): void {
  const values = VARY.getAll(headers)
  if (values.some((value) => LISTS_ACCEPT_ENCODING.test(value))) return
  VARY.append(headers, 'Accept-Encoding')
}
