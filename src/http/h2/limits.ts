/** What one HTTP/2 connection may cost us. */
export interface Http2Limits {
  /** Bytes of a list of fields as RFC 9113 6.5.2 counts them; also of a header block as it is sent. */
  readonly headBytes: number
  readonly fields: number
  /** Streams that the peer may have open. */
  readonly maxStreams: number
  /** Of the flood guard, at first. */
  readonly tokens: number
}
