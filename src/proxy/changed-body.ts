/** A response's body that plugins change on its way to the client: by transforms, which are done at once, and then by an encoder, which takes its time. */
import type { ClientSide } from '#http/client-side.ts'
import type { HeaderList } from '#http/header-list.ts'
import type { BodyEncoder, EncoderSink } from '#pdk/body-encoding.ts'
import type { ClientResponse } from '#pdk/exchange.ts'
import type { BodyTransform } from '#pdk/pdk.ts'
import type { ClientFraming } from './client-head.ts'
import type { ChosenEncoding } from './response-phases.ts'
import { transformAll, transformEnd } from './response-transform.ts'

/** The exchange that the body belongs to. */
export interface ChangedBodyHost {
  /** All of it was written, after `end` had said that this takes time. */
  changedBodyEnded(trailers: HeaderList | null): void
  /** A plugin failed: half of the body was written perhaps, and the rest can't be. Null: it has been told of. */
  changedBodyFailed(error: Error | null): void
  /** It takes bytes again after `write` said stop. */
  changedBodyDrained(): void
}

export class ChangedBody implements EncoderSink {
  readonly #host: ChangedBodyHost
  readonly #client: ClientSide
  readonly #response: ClientResponse
  readonly #framing: ClientFraming
  readonly #transforms: readonly BodyTransform[] | null
  readonly #encoding: ChosenEncoding | null
  #encoder: BodyEncoder | null = null
  #trailers: HeaderList | null = null
  #isOver = false

  constructor(
    host: ChangedBodyHost,
    client: ClientSide,
    response: ClientResponse,
    framing: ClientFraming,
    transforms: readonly BodyTransform[] | null,
    encoding: ChosenEncoding | null,
  ) {
    this.#host = host
    this.#client = client
    this.#response = response
    this.#framing = framing
    this.#transforms = transforms
    this.#encoding = encoding
  }

  /** False: wait for `changedBodyDrained`, or for the client. `areShared`: the bytes are overwritten after it has returned. */
  write(bytes: Buffer, areShared: boolean): boolean {
    let out: Buffer | null = bytes
    if (this.#transforms !== null) {
      try {
        out = transformAll(this.#transforms, bytes)
      } catch {
        this.#host.changedBodyFailed(null)
        return true
      }
    }
    if (out === null || out.length === 0) return true
    const isShared = areShared && out.buffer === bytes.buffer
    return this.#encoding === null ? this.#send(out, isShared) : this.#encode(out, isShared)
  }

  /** Whether it is at its end now; else the host hears of that, and of failures in any case. */
  end(trailers: HeaderList | null): boolean {
    if (this.#isOver) return false
    let rest: Buffer | null = null
    if (this.#transforms !== null) {
      try {
        rest = transformEnd(this.#transforms, trailers)
      } catch {
        this.#host.changedBodyFailed(null)
        return false
      }
    }
    const hasRest = rest !== null && rest.length > 0
    if (this.#encoding === null) {
      if (hasRest) this.#send(rest!, false)
      return true
    }
    this.#trailers = trailers
    this.#encode(hasRest ? rest : null, false)
    if (!this.#isOver) this.#tell((encoder) => encoder.end())
    return false
  }

  /** The client takes bytes again. False: there is no encoder that waited for that. */
  resume(): boolean {
    this.#encoder?.resume()
    return this.#encoding !== null
  }

  /** The exchange is over. */
  close(): void {
    this.#isOver = true
    this.#encoder?.destroy()
  }

  onEncoded(bytes: Buffer): void {
    if (!this.#isOver && !this.#send(bytes, false)) this.#encoder!.pause()
  }

  onEncodedEnd(): void {
    if (!this.#isOver) this.#host.changedBodyEnded(this.#trailers)
  }

  onEncoderDrain(): void {
    if (!this.#isOver) this.#host.changedBodyDrained()
  }

  onEncoderFailure(error: Error): void {
    if (!this.#isOver) this.#fail(error)
  }

  /** Opens the encoder with the first bytes, when the head is on its way. */
  #encode(bytes: Buffer | null, areShared: boolean): boolean {
    return this.#tell((encoder) => bytes === null || encoder.write(bytes, areShared))
  }

  #tell<T>(what: (encoder: BodyEncoder) => T): T | true {
    try {
      this.#encoder ??= this.#encoding!.encoding.start(this)
      return what(this.#encoder)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
      return true
    }
  }

  #fail(error: Error): void {
    this.#encoding!.failed(error)
    this.#host.changedBodyFailed(error)
  }

  #send(bytes: Buffer, areShared: boolean): boolean {
    this.#response.bytesSent += bytes.length
    return this.#framing === 'chunked' ? this.#client.writeChunk(bytes) : this.#client.write(bytes, areShared)
  }
}
