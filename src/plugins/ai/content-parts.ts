/** Contents of messages that are lists of parts, in OpenAI's form: texts and images. */

export interface TextPart {
  readonly kind: 'text'
  readonly text: string
}

export interface ImagePart {
  readonly kind: 'image'
  readonly url: string
  /** Of a `data:` URL in base64; null for images that stand elsewhere. */
  readonly data: { readonly mediaType: string; readonly base64: string } | null
}

export type ContentPart = TextPart | ImagePart

/** A text is one part; parts that are neither text nor image are left out (`strangePart` finds them). */
export function partsOf(content: unknown): readonly ContentPart[] {
  if (typeof content === 'string') return [{ kind: 'text', text: content }]
  return Array.isArray(content) ? content.map(partOf).filter((part) => part !== null) : []
}

export function imagesIn(content: unknown): readonly ImagePart[] {
  if (!Array.isArray(content)) return NO_IMAGES
  return partsOf(content).filter((part) => part.kind === 'image')
}

/** The type of a part that is neither text nor image; null where there is none. */
export function strangePart(content: unknown): string | null {
  if (!Array.isArray(content)) return null
  const strange = (content as readonly unknown[]).find((part) => partOf(part) === null)
  if (strange === undefined) return null
  const { type } = (strange ?? {}) as { readonly type?: unknown }
  return typeof type === 'string' ? type : typeof strange
}

const NO_IMAGES: readonly ImagePart[] = []
const DATA_URL = /^data:([^;,]+);base64,/

function partOf(part: unknown): ContentPart | null {
  if (typeof part !== 'object' || part === null) return null
  const { text, image_url: image } = part as { readonly text?: unknown; readonly image_url?: unknown }
  if (typeof text === 'string') return { kind: 'text', text }
  const url = typeof image === 'object' && image !== null && 'url' in image ? image.url : image
  if (typeof url !== 'string') return null
  const found = DATA_URL.exec(url)
  return {
    kind: 'image',
    url,
    data: found === null ? null : { mediaType: found[1]!, base64: url.slice(found[0].length) },
  }
}
