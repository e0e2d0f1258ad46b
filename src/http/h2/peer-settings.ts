/** What the peer says about itself (RFC 9113 6.5.2). */
import {
  DEFAULT_WINDOW,
  FLOW_CONTROL_ERROR,
  MAX_FRAME_BYTES,
  MAX_WINDOW,
  PROTOCOL_ERROR,
  SETTING_ENABLE_PUSH,
  SETTING_HEADER_TABLE_SIZE,
  SETTING_INITIAL_WINDOW_SIZE,
  SETTING_MAX_CONCURRENT_STREAMS,
  SETTING_MAX_FRAME_SIZE,
} from './frames.ts'

export class PeerSettings {
  /** What it gives each new stream. */
  initialWindow = DEFAULT_WINDOW
  /** Streams that it lets us have open; unlimited until it says. */
  maxStreams = Infinity
  /** Whether its first settings came. */
  areKnown = false
  /** It spoke of the table for header blocks. */
  namedTable = false
  readonly #isClient: boolean

  constructor(isClient: boolean) {
    this.#isClient = isClient
  }

  /** Reads the payload of a frame; answers the error code of RFC 9113 7 for what is out of its range, else 0. */
  read(bytes: Buffer, start: number, end: number): number {
    this.areKnown = true
    this.namedTable = false
    for (let pos = start; pos < end; pos += 6) {
      const value = bytes.readUInt32BE(pos + 2)
      switch (bytes.readUInt16BE(pos)) {
        case SETTING_HEADER_TABLE_SIZE:
          this.namedTable = true
          break
        case SETTING_ENABLE_PUSH:
          if (value > 1 || (value === 1 && !this.#isClient)) return PROTOCOL_ERROR
          break
        case SETTING_MAX_CONCURRENT_STREAMS:
          this.maxStreams = value
          break
        case SETTING_INITIAL_WINDOW_SIZE:
          if (value > MAX_WINDOW) return FLOW_CONTROL_ERROR
          this.initialWindow = value
          break
        case SETTING_MAX_FRAME_SIZE:
          // We send none that is larger than everybody takes.
          if (value < MAX_FRAME_BYTES || value > 0xffffff) return PROTOCOL_ERROR
      }
    }
    return 0
  }
}
