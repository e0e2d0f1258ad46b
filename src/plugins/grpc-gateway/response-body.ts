/** The messages of a response as JSON, one behind the other. */
import type { BodyTransform, HeaderList } from '#pdk'
import { MESSAGE_LIMIT_BYTES } from '../grpc/body-limit.ts'
import { COMPRESSED, dropTrailers, FrameReader } from '../grpc/frames.ts'
import { decodeJson } from '../grpc/json-message.ts'
import type { Method } from '../grpc/proto-file.ts'

export class JsonResponse implements BodyTransform {
  readonly #method: Method
  readonly #frames = new FrameReader(MESSAGE_LIMIT_BYTES)

  constructor(method: Method) {
    this.#method = method
  }

  /** Throws when the upstream sent no messages of gRPC. */
  chunk(bytes: Buffer): Buffer | null {
    const frames = this.#frames.push(bytes)
    if (typeof frames === 'string') throw new Error(`the upstream's response: ${frames}`)
    let text = ''
    for (const { flags, message } of frames) {
      if ((flags & COMPRESSED) !== 0)
        throw new Error("the upstream's response: a compressed message can't be translated")
      text += decodeJson(this.#method.output, message)
    }
    return text === '' ? null : Buffer.from(text)
  }

  /** Throws when the call failed after its head had gone out with 200: the client must not take what it has for the whole. */
  end(trailers: HeaderList | null = null): Buffer | null {
    if (!this.#frames.isAtBoundary) throw new Error("the upstream's response is cut off")
    const status = trailers?.get('grpc-status') ?? '0'
    if (status !== '0')
      throw new Error(`the call ended with the status ${status}: ${trailers?.get('grpc-message') ?? ''}`)
    dropTrailers(trailers)
    return null
  }
}
