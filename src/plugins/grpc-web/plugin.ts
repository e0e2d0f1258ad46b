/** Lets browsers call gRPC services: gRPC-Web, in bytes or base64, and JSON where there is a .proto file, as Kong's grpc-web does. */
import { definePlugin, type Exchange, type Exit } from '#pdk'
import { MESSAGE_LIMIT_BYTES } from '../grpc/body-limit.ts'
import { COMPRESSED, frameOf, framesOf } from '../grpc/frames.ts'
import { encodeJson, JsonMismatch } from '../grpc/json-message.ts'
import type { Method } from '../grpc/proto-file.ts'
import {
  askAsGrpc,
  endedWithHead,
  loadMethods,
  readBody,
  refuseCompression,
  type Methods,
} from '../grpc/translation.ts'
import { contentOf, decodeText, type Content } from './content.ts'
import { WebResponse } from './response-body.ts'
import { schema } from './schema.ts'

/** Base64 takes four characters for three bytes. */
const TEXT_LIMIT_BYTES = Math.ceil((MESSAGE_LIMIT_BYTES * 4) / 3) + 16

interface State {
  readonly methods: Methods | null
  readonly passesStrippedPath: boolean
  readonly origin: string | null
}

/** What the response is to be. */
interface Call {
  readonly content: Content
  readonly method: Method | null
}

const CALL = 'grpc-web'

/** What may not stand in the path of a request. */
const UNSAFE = /[^\x21-\x7e]/g
const escaped = (letter: string) => encodeURIComponent(letter)

export const grpcWeb = definePlugin({
  schema,

  prepare({ proto, pass_stripped_path, allow_origin_header }, tools): State {
    return {
      methods: typeof proto === 'string' ? loadMethods(proto, 'grpc-web', tools) : null,
      passesStrippedPath: pass_stripped_path === true,
      origin: allow_origin_header ?? null,
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    const { request, upstream } = exchange
    if (request.method === 'OPTIONS') return preflight(exchange, state)
    // nginx asks gRPC services for the path of the request, whatever the route takes off.
    if (!state.passesStrippedPath) upstream.path = request.path.replaceAll(UNSAFE, escaped)
    const content = contentOf(request.headers.get('content-type'))
    // As Kong, which takes every other type for JSON.
    if (content === null || content.isJson) return translate(exchange, content, state)
    askAsGrpc(exchange)
    exchange.shared.set(CALL, { content, method: null } satisfies Call)
    if (content.isText) return decodeBody(exchange)
  },

  responseHeaders(exchange, { origin }) {
    const { headers } = exchange.response
    if (origin !== null) headers.set('Access-Control-Allow-Origin', origin)
    const call = exchange.recall(CALL) as Call | undefined
    if (call === undefined) return
    // An error of the gateway's own, or of something else before the server, is told as it is.
    if (headers.get('content-type')?.startsWith('application/grpc') !== true) return void exchange.shared.delete(CALL)
    headers.set('Content-Type', call.content.type)
    headers.remove('trailer')
    // The call ended with its head: pages may only read that if they are let.
    if (headers.has('grpc-status')) headers.set('Access-Control-Expose-Headers', 'grpc-status,grpc-message')
  },

  responseBody(exchange) {
    const call = exchange.recall(CALL) as Call | undefined
    if (call === undefined || endedWithHead(exchange)) return null
    exchange.response.headers.remove('content-length')
    return new WebResponse(call.content, call.method)
  },
})

function preflight(exchange: Exchange, { origin }: State): Exit {
  return exchange.exit(200, 'OK', {
    contentType: 'application/grpc-web-text+proto',
    headers: {
      ...(origin !== null && { 'Access-Control-Allow-Origin': origin }),
      'Access-Control-Allow-Methods': 'POST',
      'Access-Control-Allow-Headers': 'content-type,x-grpc-web,x-user-agent',
    },
  })
}

async function decodeBody(exchange: Exchange): Promise<void | Exit> {
  const body = await readBody(exchange, TEXT_LIMIT_BYTES)
  if (!Buffer.isBuffer(body)) return body
  const bytes = decodeText(body)
  if (bytes === null) return exchange.exit(400, 'the body is not base64')
  exchange.request.body.replace(bytes)
}

/** Answers stay those of HTTP until the request is one of gRPC. */
async function translate(exchange: Exchange, content: Content | null, { methods }: State): Promise<void | Exit> {
  if (methods === null) return exchange.exit(400, 'transcoding requests require a .proto file defining the service')
  if (content === null) return exchange.exit(400, 'unsupported content type')
  const known = await methods
  if (known === null) return exchange.fail(500, 'An unexpected error occurred')
  const method = known.find(({ path }) => path === exchange.upstream.path)
  if (method === undefined) return exchange.exit(400, `Unknown path "${exchange.upstream.path}"`)
  const body = await readBody(exchange, TEXT_LIMIT_BYTES)
  if (!Buffer.isBuffer(body)) return body
  const encoded = encodedBody(body, content, method)
  if (typeof encoded === 'string') return exchange.exit(400, encoded)
  refuseCompression(exchange)
  askAsGrpc(exchange)
  exchange.request.body.replace(encoded)
  exchange.shared.set(CALL, { content, method } satisfies Call)
}

/** JSON as messages of gRPC, or what is wrong with it. */
function encodedBody(body: Buffer, content: Content, { input }: Method): Buffer | string {
  const bytes = content.isText ? decodeText(body) : body
  if (bytes === null) return 'the body is not base64'
  const frames = content.isFramed ? framesOf(bytes, MESSAGE_LIMIT_BYTES) : [{ flags: 0, message: bytes }]
  if (typeof frames === 'string') return frames
  const parts: Buffer[] = []
  for (const { flags, message } of frames) {
    if ((flags & COMPRESSED) !== 0) return 'a compressed message cannot be translated'
    try {
      parts.push(frameOf(0, encodeJson(input, JSON.parse(message.toString()))))
    } catch (error) {
      if (error instanceof JsonMismatch) return error.message
      if (error instanceof SyntaxError) return 'the body is not JSON'
      throw error
    }
  }
  return Buffer.concat(parts)
}
