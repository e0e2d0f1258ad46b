/** A stored response on its way through Redis: what every node has to know of it, then its bytes. */
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

/** Nodes of another version of this form take each other's for absent. */
const FORM = 1
const HEAD_BYTES = 5

export function packValue({ bytes, ...about }: SharedValue): Buffer {
  const text = Buffer.from(JSON.stringify(about))
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  head.writeUInt8(FORM, 0)
  head.writeUInt32LE(text.length, 1)
  return Buffer.concat([head, text, bytes])
}

/** Null when it is none that `packValue` made. */
export function unpackValue(value: Buffer): SharedValue | null {
  if (value.length < HEAD_BYTES || value.readUInt8(0) !== FORM) return null
  const end = HEAD_BYTES + value.readUInt32LE(1)
  if (end > value.length) return null
  try {
    const about = JSON.parse(value.toString('utf8', HEAD_BYTES, end)) as Omit<SharedValue, 'bytes'>
    return { ...about, bytes: value.subarray(end) }
  } catch {
    // Somebody else wrote to this key: as good as nothing.
    return null
  }
}
