/** Bodies as they are without the codings that they were sent in (RFC 9110 8.4). */
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib'
import { promisify } from 'node:util'
import { FieldName, type HeaderList } from '#pdk'

const CONTENT_ENCODING = new FieldName('Content-Encoding')

type Decode = (bytes: Buffer, options: { readonly maxOutputLength: number }) => Promise<Buffer>

const CODINGS: Readonly<Record<string, Decode>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
}

/** In the order in which they were applied. */
export function codingsOf(headers: HeaderList): string[] {
  return CONTENT_ENCODING.getAll(headers)
    .flatMap((value) => value.split(','))
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
}

/** Done outside of the event loop. `too_large`: it would be over `limitBytes`. */
export async function plainBody(
  bytes: Buffer,
  codings: readonly string[],
  limitBytes: number,
): Promise<Buffer | 'too_large' | 'unknown' | 'broken'> {
  let plain = bytes
  for (const coding of codings.toReversed()) {
    if (!Object.hasOwn(CODINGS, coding)) return 'unknown'
    try {
      plain = await CODINGS[coding]!(plain, { maxOutputLength: limitBytes })
    } catch (error) {
      // What an upstream sends may be anything; why it can't be read has no reader.
      return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE' ? 'too_large' : 'broken'
    }
  }
  return plain
}
