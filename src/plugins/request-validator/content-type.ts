/** Media types as requests and configurations write them (RFC 9110 8.3.1). */

export interface MediaType {
  /** `type/subtype` in lower case. */
  readonly name: string
  /** Parameters by name in lower case, sorted, as one text, without `boundary`; values of `charset` are in lower case. */
  readonly parameters: string
  readonly charset: string | null
}

/** Null for what is none. */
export function parseMediaType(text: string): MediaType | null {
  const found = /^\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*(;[^]*)?$/.exec(text)
  if (found === null) return null
  const parameters = parseParameters(found[2] ?? '')
  if (parameters === null) return null
  return {
    name: found[1]!.toLowerCase(),
    parameters: [...parameters]
      .filter(([name]) => name !== 'boundary')
      .map(([name, value]) => `${name}=${value}`)
      .toSorted()
      .join(';'),
    charset: parameters.get('charset') ?? null,
  }
}

const PARAMETER = /;\s*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"((?:[^"\\]|\\[^])*)")\s*)?/y

function parseParameters(text: string): Map<string, string> | null {
  const parameters = new Map<string, string>()
  for (let at = 0; at < text.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at
    const found = PARAMETER.exec(text)
    if (found === null) return null
    const [, rawName, token, quoted] = found
    if (rawName === undefined) continue
    const name = rawName.toLowerCase()
    if (parameters.has(name)) return null
    const value = token ?? quoted!.replace(/\\([^])/g, '$1')
    parameters.set(name, name === 'charset' ? value.toLowerCase() : value)
  }
  return parameters
}

/** `application/json`, and types that say they are JSON by their ending (RFC 6839 3.1). */
export function isJsonType({ name }: MediaType): boolean {
  return name === 'application/json' || name.endsWith('+json')
}

/** Whether bytes of the type are UTF-8, as JSON between systems has to be (RFC 8259 8.1). */
export function isUtf8({ charset }: MediaType): boolean {
  return charset === null || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii'
}
