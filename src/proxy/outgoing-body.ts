import type { HeaderList } from '#http/header-list.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { ClientSide } from '#http/client-side.ts'
import type { UpstreamLink } from '#upstream/link.ts'
import type { BodyFlow, BodyTarget } from './request-body.ts'
import type { BodyFraming } from './upstream-head.ts'

/** The request's body on its way to the upstream: whole with the head where that can be had, else as it comes. */
export class OutgoingBody implements BodyTarget {
  /** How it goes out. */
  framing: BodyFraming = 'none'
  /** All of it, when it goes out with the head and may go out again. */
  whole: Buffer | null = null
  /** What followed the client's last chunk. */
  trailers: HeaderList | null = null
  readonly #flow: BodyFlow | null
  readonly #client: ClientSide
  /** Takes what still comes; null while there is none. */
  #upstream: UpstreamLink | null = null

  constructor(flow: BodyFlow | null, client: ClientSide) {
    this.#flow = flow
    this.#client = client
  }

  /** Whether the request can be sent to another upstream. */
  get isReplayable(): boolean {
    return this.#flow === null || this.whole !== null
  }

  /** Whether nothing follows the request's head and what is written with it. */
  get goesWithHead(): boolean {
    return this.isReplayable && this.framing !== 'chunked'
  }

  /**
   * Decides how the body goes out. True when that is known now; else `decided` is called, and never when the client left.
   * `made` is the body that a plugin gave a request without one; bodies up to `limit` bytes are read whole first, so that the
   * upstream gets a Content-Length in one write and the request may be sent again.
   */
  decide(head: RequestHead, made: Buffer | null, isStreamed: boolean, limit: number, decided: () => void): boolean {
    const flow = this.#flow
    const replacement = flow === null ? made : flow.replacement
    if (replacement !== null) {
      this.whole = replacement
      this.framing = replacement.length
      return true
    }
    if (flow === null) {
      // nginx passes `Content-Length: 0` on; a body that was never announced gets no length.
      if (head.contentLength === 0) this.framing = 0
      return true
    }
    if (isStreamed || flow.declaredLength > limit) {
      this.framing = head.isChunked ? 'chunked' : head.contentLength
      // Chunks: after what came along with the head is read, which may be the whole body.
      if (head.isChunked) queueMicrotask(decided)
      return !head.isChunked
    }
    flow.collect(limit, (result) => {
      if (Buffer.isBuffer(result)) {
        this.whole = result
        this.framing = this.#framingOf(result)
      } else if (result.error === 'aborted') return
      else this.framing = head.isChunked ? 'chunked' : head.contentLength
      decided()
    })
    return false
  }

  /** A chunked body that came whole meanwhile goes out with its length, which says more. Called before the head is written. */
  settle(): void {
    const flow = this.#flow
    if (this.framing !== 'chunked' || flow === null || !flow.isComplete) return
    this.whole = flow.held ?? Buffer.alloc(0)
    this.framing = this.#framingOf(this.whole)
  }

  /** A length leaves no place for trailers. */
  #framingOf(whole: Buffer): BodyFraming {
    return this.trailers === null ? whole.length : 'chunked'
  }

  /** Writes the head and what is there of the body; the rest follows as it comes. */
  send(upstream: UpstreamLink, head: string): void {
    const flow = this.#flow
    if (flow === null || this.whole !== null) {
      if (this.framing === 'chunked') {
        upstream.writeHead(head, null)
        if (this.whole !== null && this.whole.length > 0) upstream.writeChunk(this.whole)
        upstream.endChunks(this.trailers)
      } else upstream.writeHead(head, this.whole)
      // The upstream was told of a body that is still to come when this one came whole only after that.
      if (flow !== null) upstream.endRequest()
      return
    }
    this.#upstream = upstream
    const isChunked = this.framing === 'chunked'
    const { held, isComplete } = flow
    let isFlowing = upstream.writeHead(head, isChunked ? null : held)
    if (isChunked && held !== null) isFlowing = upstream.writeChunk(held)
    flow.flow(this)
    if (isComplete) this.endBody()
    else if (!isFlowing) this.#client.pauseBody()
  }

  /** The upstream is gone: what comes is dropped, or held for the next one. */
  detach(): void {
    this.#upstream = null
  }

  sendBody(bytes: Buffer): boolean {
    const upstream = this.#upstream
    if (upstream === null) return true
    return this.framing === 'chunked' ? upstream.writeChunk(bytes) : upstream.write(bytes, this.#client.readsAreShared)
  }

  endBody(): void {
    const upstream = this.#upstream
    if (upstream === null) return
    if (this.framing === 'chunked') upstream.endChunks(this.trailers)
    upstream.endRequest()
  }
}
