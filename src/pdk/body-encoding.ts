/**
 * A response's body in another encoding, made outside of the event loop: the last thing that happens to it, after all transforms.
 * Both ways wait for each other: an encoder that is full stops the upstream, and a client that is full stops the encoder.
 */

/** What the `responseEncoding` phase answers. Nothing is opened before `start`, which is not called for responses without a body. */
export interface BodyEncoding {
  start(sink: EncoderSink): BodyEncoder
}

export interface BodyEncoder {
  /** Takes bytes; shared ones are overwritten after it has returned. False: wait for `onEncoderDrain`. */
  write(bytes: Buffer, areShared: boolean): boolean
  /** Nothing follows: what is still in it comes, and then `onEncodedEnd`. */
  end(): void
  /** Stops telling of bytes until `resume`. */
  pause(): void
  resume(): void
  /** Gives it up; nothing is told any more. May be called again, and after the end. */
  destroy(): void
}

/** Who hears of the bytes; none of it is called before `start` has returned. */
export interface EncoderSink {
  onEncoded(bytes: Buffer): void
  onEncodedEnd(): void
  onEncoderDrain(): void
  onEncoderFailure(error: Error): void
}
