/** Which form of a problem the client takes (RFC 9110 12.5.1, RFC 9457 3 and appendix B). */
import { qualityOf } from '#core/quality.ts'

export type Form = 'json' | 'xml'

/** The media ranges that a form is within, those that name it first. */
const RANGES: Readonly<Record<Form, readonly string[]>> = {
  json: ['application/problem+json', 'application/json', 'application/*', '*/*'],
  xml: ['application/problem+xml', 'application/xml', 'text/xml'],
}
/** Ranges looked at: more are no browser's. */
const RANGES_MAX = 50

/** Null where the client wants something else more, such as a page. */
export function negotiate(accept: string | null): Form | null {
  if (accept === null || accept.trim() === '' || accept === '*/*') return 'json'
  let best: Form | null = null
  let bestQuality = 0
  let bestWidth = 0
  for (const range of accept.split(',').slice(0, RANGES_MAX)) {
    const [name = '', ...parameters] = range.split(';')
    const type = name.trim().toLowerCase()
    const quality = qualityOf(parameters)
    const width = type === '*/*' ? 2 : type.endsWith('/*') ? 1 : 0
    // Of equal wishes the one counts that says more.
    if (quality < bestQuality || quality === 0 || (quality === bestQuality && width >= bestWidth && bestQuality > 0))
      continue
    best = RANGES.json.includes(type) ? 'json' : RANGES.xml.includes(type) ? 'xml' : null
    bestQuality = quality
    bestWidth = width
  }
  return best
}
