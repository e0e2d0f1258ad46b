import type { HeaderList } from '#http/header-list.ts'
import type { BodyTransform } from '#pdk/pdk.ts'

export function keepsLength(transform: BodyTransform): boolean {
  return transform.keepsLength === true
}

/** Passes bytes through every transform in order; null when nothing is to be sent now. */
export function transformAll(transforms: readonly BodyTransform[], bytes: Buffer, from = 0): Buffer | null {
  let out: Buffer | null = bytes
  for (let i = from; i < transforms.length && out !== null; i++) out = transforms[i]!.chunk(out)
  return out
}

/** Ends every transform in order, passing what each still had through those after it. */
export function transformEnd(transforms: readonly BodyTransform[], trailers: HeaderList | null = null): Buffer | null {
  const parts: Buffer[] = []
  for (let i = 0; i < transforms.length; i++) {
    const rest = transforms[i]!.end(trailers)
    const out = rest === null ? null : transformAll(transforms, rest, i + 1)
    if (out !== null) parts.push(out)
  }
  return parts.length === 0 ? null : parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** Passes a body that is there as a whole. */
export function transformWhole(transforms: readonly BodyTransform[], bytes: Buffer): Buffer {
  const first = transformAll(transforms, bytes)
  const rest = transformEnd(transforms)
  return first === null ? (rest ?? Buffer.alloc(0)) : rest === null ? first : Buffer.concat([first, rest])
}
