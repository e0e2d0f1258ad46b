/** A copy of bytes that are about to be overwritten. */
export function copyBytes(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length)
  copy.set(bytes)
  return copy
}
