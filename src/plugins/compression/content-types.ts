/** Which content types are compressed: `type/subtype`, `type/*` and `type/*+suffix`. */
export class ContentTypes {
  readonly #exact = new Set<string>()
  /** By type: of all its subtypes, or of those that end so. */
  readonly #whole = new Set<string>()
  readonly #suffixes: { readonly type: string; readonly suffix: string }[] = []

  constructor(patterns: readonly string[]) {
    for (const pattern of patterns) {
      const [type = '', subtype = ''] = pattern.toLowerCase().split('/')
      if (subtype === '*') this.#whole.add(type)
      else if (subtype.startsWith('*')) this.#suffixes.push({ type: `${type}/`, suffix: subtype.slice(1) })
      else this.#exact.add(`${type}/${subtype}`)
    }
  }

  /** `type` in lower case, without parameters. */
  has(type: string): boolean {
    if (this.#exact.has(type)) return true
    const slash = type.indexOf('/')
    if (slash > 0 && this.#whole.has(type.slice(0, slash))) return true
    return this.#suffixes.some((one) => type.startsWith(one.type) && type.endsWith(one.suffix))
  }
}

/** The type of a Content-Type in lower case, without parameters; '' for none. */
export function mediaType(contentType: string | null): string {
  if (contentType === null) return ''
  const end = contentType.indexOf(';')
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
}
