/** Which media types are stored: type and subtype, either of which may be `*`, with exactly the parameters that are named. */

export type TypeMatcher = (contentType: string) => boolean

interface MediaType {
  readonly type: string
  readonly subtype: string
  readonly parameters: ReadonlyMap<string, string>
}

/** Types rarely change from one response to the next, so what was found is kept. */
const REMEMBERED = 100

export function compileTypes(wanted: readonly string[]): TypeMatcher {
  const types = wanted.map(parseType)
  const known = new Map<string, boolean>()
  return (contentType) => {
    const before = known.get(contentType)
    if (before !== undefined) return before
    const given = parseType(contentType)
    const matches = types.some((one) => matchesType(one, given))
    if (known.size < REMEMBERED) known.set(contentType, matches)
    return matches
  }
}

function matchesType(wanted: MediaType, given: MediaType): boolean {
  if (wanted.type !== '*' && wanted.type !== given.type) return false
  if (wanted.subtype !== '*' && wanted.subtype !== given.subtype) return false
  const { parameters } = given
  const isSame = [...wanted.parameters].every(([name, value]) => parameters.get(name) === value)
  if (isSame && wanted.parameters.size === parameters.size) return true
  // The gateway itself gives texts this charset when they have none, as nginx does behind Kong's plugins.
  return wanted.parameters.size === 0 && parameters.size === 1 && parameters.get('charset') === 'UTF-8'
}

function parseType(text: string): MediaType {
  const [name = '', ...rest] = text.split(';')
  const [type = '', subtype = ''] = name.trim().toLowerCase().split('/')
  const parameters = new Map<string, string>()
  for (const part of rest) {
    const at = part.indexOf('=')
    if (at > 0)
      parameters.set(
        part.slice(0, at).trim().toLowerCase(),
        part
          .slice(at + 1)
          .trim()
          .replace(/^"(.*)"$/, '$1'),
      )
  }
  return { type, subtype, parameters }
}
