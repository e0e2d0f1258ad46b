/** The body of one request on its way: held until the upstream can take it, collected when a plugin or `request_buffering` asks. */
import type { ClientSide } from '#http/client-side.ts'
import { copyBytes } from '#http/copy-bytes.ts'
import type { RequestBody } from '#pdk/exchange.ts'
import { BodyCopies } from './body-copies.ts'

type ReadResult = Buffer | { readonly error: 'too_large' | 'aborted' }

/** One who waits for the whole body, with who came before. */
interface Waiter {
  readonly limitBytes: number
  readonly callback: (result: ReadResult) => void
  readonly before: Waiter | null
}

/** The body of a request that has none; a plugin can still give it one. */
export class AbsentBody implements RequestBody {
  readonly exists = false
  made: Buffer | null = null

  read(limitBytes: number): Promise<ReadResult> {
    const bytes = this.made ?? Buffer.alloc(0)
    return Promise.resolve(bytes.length > limitBytes ? { error: 'too_large' as const } : bytes)
  }

  copy(limitBytes: number, done: (result: ReadResult) => void): void {
    const bytes = this.made ?? Buffer.alloc(0)
    done(bytes.length > limitBytes ? { error: 'too_large' } : bytes)
  }

  replace(bytes: Buffer): void {
    this.made = bytes
  }

  limit(): void {}
}

/** Held bytes at which the client is told to wait. */
const HOLD_BYTES = 65536

/** Where the bytes go once the upstream takes them. */
export interface BodyTarget {
  /** False: wait until `BodyFlow.flow` is called again. */
  sendBody(bytes: Buffer): boolean
  endBody(): void
}

export class BodyFlow implements RequestBody {
  readonly exists = true
  /** Bytes announced by Content-Length; -1 when chunked. */
  readonly declaredLength: number
  /** Set when a plugin gave other bytes. */
  replacement: Buffer | null = null
  isComplete = false
  limitBytes = 0
  receivedBytes = 0
  #connection: ClientSide
  #held: Buffer[] = []
  #heldBytes = 0
  #target: BodyTarget | null = null
  #waiting: Waiter | null = null
  #beforeReading: () => void
  #maxReadBytes: number
  #isAborted = false
  /** Bytes went on without being kept: the whole can't be had any more. */
  #isPassedOn = false
  #copies: BodyCopies | null = null

  /**
   * @param maxReadBytes what a plugin can have whole at most (`client_body_buffer_size`)
   * @param beforeReading called once when the body is wanted for the first time (100 Continue)
   */
  constructor(connection: ClientSide, declaredLength: number, maxReadBytes: number, beforeReading: () => void) {
    this.#maxReadBytes = maxReadBytes
    this.#connection = connection
    this.declaredLength = declaredLength
    this.#beforeReading = beforeReading
  }

  read(limitBytes: number): Promise<ReadResult> {
    if (this.replacement !== null)
      return Promise.resolve(this.replacement.length > limitBytes ? { error: 'too_large' as const } : this.replacement)
    return new Promise((resolve) => this.collect(Math.min(limitBytes, this.#maxReadBytes), resolve))
  }

  /** Calls back with the whole body, at once when it is there; or with why it can't be had. Bytes that were collected stay held. */
  collect(limitBytes: number, callback: (result: ReadResult) => void): void {
    if (this.declaredLength > limitBytes || this.#heldBytes > limitBytes) return callback({ error: 'too_large' })
    if (this.#isAborted || this.#isPassedOn) return callback({ error: 'aborted' })
    if (this.isComplete) return callback(this.#join())
    this.#beforeReading()
    this.#waiting = { limitBytes, callback, before: this.#waiting }
    this.#connection.resumeBody()
  }

  copy(limitBytes: number, done: (result: ReadResult) => void): void {
    const { replacement } = this
    if (replacement !== null) return done(replacement.length > limitBytes ? { error: 'too_large' } : replacement)
    if (this.declaredLength > limitBytes || this.#heldBytes > limitBytes) return done({ error: 'too_large' })
    if (this.#isAborted || this.#isPassedOn) return done({ error: 'aborted' })
    if (this.isComplete) return done(this.#join())
    this.#copies ??= new BodyCopies()
    this.#copies.begin(limitBytes, this.#join(), done)
  }

  replace(bytes: Buffer): void {
    this.replacement = bytes
  }

  limit(limitBytes: number): void {
    this.limitBytes = this.limitBytes === 0 ? limitBytes : Math.min(this.limitBytes, limitBytes)
  }

  /** What is held as one buffer, for sending along with the head or again to another target. */
  get held(): Buffer | null {
    return this.#heldBytes === 0 ? null : this.#join()
  }
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Whether a limit is passed by what has come, or by what was announced. */
  get isOverLimit(): boolean {
    return this.limitBytes > 0 && (this.receivedBytes > this.limitBytes || this.declaredLength > this.limitBytes)
  }

  onData(bytes: Buffer, areShared: boolean): void {
    this.receivedBytes += bytes.length
    if (this.#copies !== null) this.#copies.add(bytes)
    if (this.#target !== null) {
      if (!this.#target.sendBody(bytes)) this.#connection.pauseBody()
      return
    }
    this.#held.push(areShared ? copyBytes(bytes) : bytes)
    this.#heldBytes += bytes.length
    for (let waiter = this.#waiting; waiter !== null; waiter = waiter.before) {
      if (this.#heldBytes <= waiter.limitBytes) continue
      this.#refuse(this.#heldBytes)
      break
    }
    if (this.#waiting === null && this.#heldBytes >= HOLD_BYTES) this.#connection.pauseBody()
  }

  onEnd(): void {
    this.isComplete = true
    this.#copies?.end()
    if (this.#waiting !== null) this.#answer(this.#join())
    this.#target?.endBody()
  }

  onAbort(): void {
    this.#isAborted = true
    this.#copies?.abort()
    this.#held = []
    this.#heldBytes = 0
    this.#target = null
    if (this.#waiting !== null) this.#answer({ error: 'aborted' })
  }

  /** From now on bytes go to the target as they come; what is held was sent by the caller. */
  flow(target: BodyTarget): void {
    this.#beforeReading()
    this.#target = target
    this.#held = []
    this.#heldBytes = 0
    this.#isPassedOn = true
    if (this.#waiting !== null) this.#answer({ error: 'aborted' })
    this.#connection.resumeBody()
  }

  /** Holds bytes again, because the target failed. What it was given is gone. */
  hold(): void {
    this.#target = null
  }

  resume(): void {
    this.#connection.resumeBody()
  }

  #join(): Buffer {
    if (this.#held.length > 1) this.#held = [Buffer.concat(this.#held, this.#heldBytes)]
    return this.#held[0] ?? Buffer.alloc(0)
  }

  /** Tells those who wait for fewer bytes; the others go on waiting. */
  #refuse(bytes: number): void {
    let waiter = this.#waiting
    this.#waiting = null
    for (; waiter !== null; waiter = waiter.before) {
      const { limitBytes, callback } = waiter
      if (bytes > limitBytes) callback({ error: 'too_large' })
      else this.#waiting = { limitBytes, callback, before: this.#waiting }
    }
  }

  #answer(result: ReadResult): void {
    let waiter = this.#waiting
    this.#waiting = null
    for (; waiter !== null; waiter = waiter.before) waiter.callback(result)
  }
}
