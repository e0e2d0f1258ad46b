import type { Socket } from 'node:net'

/** Up to this size a head and its body are copied into one write; above, the copy costs more than a second vector entry.
 * It is more than a shared read (`socket-reader.ts`) with a head, so that shared bytes are always copied here. */
const JOIN_BYTES = 24576
const SLAB_BYTES = 262144

let slab: Buffer = Buffer.allocUnsafeSlow(0)
let slabUsed = 0

/** Uninitialised bytes cut from a large slab: cheaper than one allocation per write, and never reused while referenced. */
function takeBytes(size: number): Buffer {
  if (slabUsed + size > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    slabUsed = 0
  }
  const bytes = slab.subarray(slabUsed, slabUsed + size)
  slabUsed += (size + 7) & ~7
  return bytes
}

/** A copy of bytes that are about to be overwritten. */
export function copyBytes(bytes: Buffer): Buffer {
  const copy = takeBytes(bytes.length)
  copy.set(bytes)
  return copy
}

/** Text and bytes as one piece when that is cheap, else null. The result shares nothing with `body`. */
export function join(head: string, body: Buffer): Buffer | null {
  const size = head.length + body.length
  if (size > JOIN_BYTES) return null
  const joined = takeBytes(size)
  joined.write(head, 0, 'latin1')
  joined.set(body, head.length)
  return joined
}

/** Writes latin1 text and bytes as one segment. Answers what `socket.write` does: false asks to wait for 'drain'. */
export function writeBoth(socket: Socket, head: string, body: Buffer): boolean {
  const joined = join(head, body)
  if (joined !== null) return socket.write(joined)
  socket.cork()
  socket.write(head, 'latin1')
  const isFlowing = socket.write(body)
  socket.uncork()
  return isFlowing
}
