/** The response of a gRPC server as a client of gRPC-Web reads it: the trailers are the last frame of the body. */
import type { BodyTransform, HeaderList } from '#pdk'
import { MESSAGE_LIMIT_BYTES } from '../grpc/body-limit.ts'
import { COMPRESSED, dropTrailers, FrameReader, frameOf, TRAILERS } from '../grpc/frames.ts'
import { decodeJson } from '../grpc/json-message.ts'
import type { Method } from '../grpc/proto-file.ts'
import type { Content } from './content.ts'

export class WebResponse implements BodyTransform {
  readonly #content: Content
  /** Null where messages pass as they are. */
  readonly #method: Method | null
  readonly #frames = new FrameReader(MESSAGE_LIMIT_BYTES)

  constructor(content: Content, method: Method | null) {
    this.#content = content
    this.#method = method
  }

  /** Throws when the upstream sent no messages of gRPC. */
  chunk(bytes: Buffer): Buffer | null {
    if (this.#method === null) return this.#written(bytes)
    const frames = this.#frames.push(bytes)
    if (typeof frames === 'string') throw new Error(`the upstream's response: ${frames}`)
    const parts: Buffer[] = []
    for (const { flags, message } of frames) {
      if ((flags & COMPRESSED) !== 0)
        throw new Error("the upstream's response: a compressed message can't be translated")
      const json = Buffer.from(decodeJson(this.#method.output, message))
      parts.push(this.#content.isFramed ? frameOf(0, json) : json)
    }
    return parts.length === 0 ? null : this.#written(Buffer.concat(parts))
  }

  end(trailers: HeaderList | null = null): Buffer | null {
    if (this.#method !== null && !this.#frames.isAtBoundary) throw new Error("the upstream's response is cut off")
    const last = this.#content.isFramed ? frameOf(TRAILERS, trailerText(trailers)) : null
    // They went with the body: a client that also gets them behind it would have them twice.
    dropTrailers(trailers)
    return last === null ? null : this.#written(last)
  }

  #written(bytes: Buffer): Buffer {
    return this.#content.isText ? Buffer.from(bytes.toString('base64'), 'latin1') : bytes
  }
}

/** In lower case, as the trailers of HTTP/1.1 (gRPC-Web protocol). Status and message are there in any case, as in Kong. */
function trailerText(trailers: HeaderList | null): Buffer {
  // An upstream that says nothing has ended the call without a status: `unknown`.
  let text = `grpc-status:${trailers?.get('grpc-status') ?? '2'}\r\ngrpc-message:${trailers?.get('grpc-message') ?? ''}\r\n`
  for (const [name, value] of trailers ?? []) {
    const lower = name.toLowerCase()
    if (lower !== 'grpc-status' && lower !== 'grpc-message') text += `${lower}:${value}\r\n`
  }
  return Buffer.from(text, 'latin1')
}
