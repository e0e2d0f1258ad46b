/** Values that are stored in one written form, whatever form they were given in. */
import { formatHost, parseHost } from '#core/host.ts'
import type { Fields } from './field.ts'
import { own, type Errors, type Values } from './record.ts'

interface Format {
  /** The form that is stored; null when the value has none. */
  readonly apply: (value: string) => string | null
  readonly error: string
}

const DEFAULT_TARGET_PORT = 8000

const FORMATS: Readonly<Record<string, Format>> = {
  host_and_port: {
    apply(value) {
      const host = parseHost(value)
      return host.type === 'invalid' ? null : formatHost(host, DEFAULT_TARGET_PORT)
    },
    error: 'Invalid target; not a valid hostname or ip address',
  },
}

/** Given texts that can't be brought into the form of their field. Kong looks for these before anything else. */
export function formatErrors(fields: Fields, given: Readonly<Values>): Errors | null {
  for (const name in fields) {
    const format = fields[name]!.format
    if (format === undefined) continue
    const value = own(given, name)
    if (typeof value === 'string' && FORMATS[format]!.apply(value) === null) return { [name]: FORMATS[format]!.error }
  }
  return null
}

/** Brings the document's values into the form of their field. */
export function applyFormats(fields: Fields, document: Values): void {
  for (const name in fields) {
    const format = fields[name]!.format
    const value = document[name]
    if (format !== undefined && typeof value === 'string') document[name] = FORMATS[format]!.apply(value) ?? value
  }
}
