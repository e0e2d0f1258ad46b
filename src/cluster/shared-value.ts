/** A stored response on its way through Redis: what every node has to know of it, then its bytes, compressed where that spares some. */
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from 'node:zlib'
import type { PurgeMoment } from './shared-purges.ts'

export interface SharedValue {
  /** Of this one, whatever its key. */
  readonly id: string
  /** What it belongs to. */
  readonly names: readonly string[]
  /** What was purged when it was asked for. */
  readonly moment: PurgeMoment
  /** Unix ms. */
  readonly expiresAtMs: number
  readonly bytes: Buffer
}

/** The first byte. Nodes of another version take what they don't know for absent. */
const PLAIN = 1
const COMPRESSED = 2
const HEAD_BYTES = 5
/** Less is not worth the time. */
const LEAST_BYTES = 4096
/** More is done in another thread; for less that would take longer than the work. */
const MOST_HERE_BYTES = 65_536
/** What is spared at least: what was compressed before is not made smaller, and would have to be unpacked for nothing. */
const WORTH = 0.8

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

export async function packValue({ bytes, ...about }: SharedValue): Promise<Buffer> {
  const packed = bytes.length < LEAST_BYTES ? bytes : await smaller(bytes)
  const isSmaller = packed.length < bytes.length * WORTH
  const text = Buffer.from(JSON.stringify(about))
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  head.writeUInt8(isSmaller ? COMPRESSED : PLAIN, 0)
  head.writeUInt32LE(text.length, 1)
  return Buffer.concat([head, text, isSmaller ? packed : bytes])
}

/**
 * Null when it is none that `packValue` made, or would be larger than `largestBytes`. Only what another thread unpacks comes later: most
 * is small, and whoever finds it need not wait.
 */
export function unpackValue(value: Buffer, largestBytes: number): SharedValue | null | Promise<SharedValue | null> {
  const form = value.length < HEAD_BYTES ? 0 : value.readUInt8(0)
  if (form !== PLAIN && form !== COMPRESSED) return null
  const end = HEAD_BYTES + value.readUInt32LE(1)
  if (end > value.length) return null
  try {
    const about = JSON.parse(value.toString('utf8', HEAD_BYTES, end)) as Omit<SharedValue, 'bytes'>
    const rest = value.subarray(end)
    if (form === PLAIN) return { ...about, bytes: rest }
    const limit = { maxOutputLength: largestBytes }
    if (rest.length <= MOST_HERE_BYTES) return { ...about, bytes: zstdDecompressSync(rest, limit) }
    return decompress(rest, limit).then(
      (bytes) => ({ ...about, bytes }),
      () => null,
    )
  } catch {
    // Somebody else wrote to this key: as good as nothing.
    return null
  }
}

function smaller(bytes: Buffer): Buffer | Promise<Buffer> {
  return bytes.length > MOST_HERE_BYTES ? compress(bytes, FAST) : zstdCompressSync(bytes, FAST)
}
