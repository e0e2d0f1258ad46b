/** Frames of HTTP/2 (RFC 9113 4 and 6): their numbers, and their heads as text of one character per byte. */

export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PUSH_PROMISE = 5
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

/** Also END_HEADERS' neighbours: ACK of SETTINGS and PING has the bit of END_STREAM. */
export const END_STREAM = 1
export const ACK = 1
export const END_HEADERS = 4
export const PADDED = 8
export const HAS_PRIORITY = 32

export const FRAME_HEAD_BYTES = 9
/** The size of frames that everybody takes, and the largest that we take and send. */
export const MAX_FRAME_BYTES = 16384
export const MAX_WINDOW = 0x7fffffff
export const DEFAULT_WINDOW = 65535
/** Bytes of one stream's body that may be on their way to us. */
export const STREAM_WINDOW = 131_072
export const MAX_STREAM_ID = 0x7fffffff

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** RFC 9113 7. */
export const NO_ERROR = 0
export const PROTOCOL_ERROR = 1
export const INTERNAL_ERROR = 2
export const FLOW_CONTROL_ERROR = 3
export const STREAM_CLOSED = 5
export const FRAME_SIZE_ERROR = 6
export const REFUSED_STREAM = 7
export const CANCEL = 8
export const COMPRESSION_ERROR = 9
export const ENHANCE_YOUR_CALM = 11

/** RFC 9113 6.5.2. */
export const SETTING_HEADER_TABLE_SIZE = 1
export const SETTING_ENABLE_PUSH = 2
export const SETTING_MAX_CONCURRENT_STREAMS = 3
export const SETTING_INITIAL_WINDOW_SIZE = 4
export const SETTING_MAX_FRAME_SIZE = 5
export const SETTING_MAX_HEADER_LIST_SIZE = 6

const { fromCharCode } = String

export function frameHead(length: number, type: number, flags: number, stream: number): string {
  return fromCharCode(
    (length >> 16) & 255,
    (length >> 8) & 255,
    length & 255,
    type,
    flags,
    (stream >>> 24) & 255,
    (stream >> 16) & 255,
    (stream >> 8) & 255,
    stream & 255,
  )
}

export function uint32(value: number): string {
  return fromCharCode((value >>> 24) & 255, (value >> 16) & 255, (value >> 8) & 255, value & 255)
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): string {
  let text = frameHead(settings.length * 6, SETTINGS, 0, 0)
  for (const [id, value] of settings) text += fromCharCode(id >> 8, id & 255) + uint32(value)
  return text
}

/** HEADERS, and CONTINUATION for what does not fit into `maxBytes`. */
export function headersFrames(stream: number, block: string, isEnd: boolean, maxBytes: number): string {
  const endFlag = isEnd ? END_STREAM : 0
  if (block.length <= maxBytes) return frameHead(block.length, HEADERS, END_HEADERS | endFlag, stream) + block
  let text = frameHead(maxBytes, HEADERS, endFlag, stream) + block.slice(0, maxBytes)
  for (let at = maxBytes; at < block.length; at += maxBytes) {
    const part = block.slice(at, at + maxBytes)
    text += frameHead(part.length, CONTINUATION, at + maxBytes >= block.length ? END_HEADERS : 0, stream) + part
  }
  return text
}

/** RFC 9113 5.3.2 has no more to say of priorities than that no stream depends on itself. */
export function isOwnParent(id: number, bytes: Buffer, start: number): boolean {
  return (bytes.readUInt32BE(start) & MAX_STREAM_ID) === id
}

export function windowUpdate(stream: number, increment: number): string {
  return frameHead(4, WINDOW_UPDATE, 0, stream) + uint32(increment)
}
