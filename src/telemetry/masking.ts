/**
 * What of requests never leaves the gateway: chosen by the settings `log_mask_*`, compiled once, and used by everything that tells of
 * single requests (log plugins, traces, access logs).
 */
import { compileRedaction, REDACTED, type Redact, type SensitivePattern } from './sensitive-text.ts'

export interface MaskingSettings {
  readonly log_mask_headers: readonly string[]
  readonly log_mask_arguments: readonly string[]
  readonly log_mask_fields: readonly string[]
  readonly log_mask_patterns: readonly SensitivePattern[]
  readonly log_mask_regex: string | null
}

type JsonObject = Record<string, unknown>

/** Kong hides these in its log record. */
const CREDENTIALS = ['authorization', 'proxy-authorization']

/** Parts of the record that are the operator's configuration or the gateway's own: no client's data, and ids may look like numbers. */
const NOT_SEARCHED = new Set(['route', 'service', 'tries', 'workspace', 'workspace_name', 'authenticated_entity'])

export class Masking {
  /** Header fields that a setting names, and those with what is always hidden. */
  readonly #named: ReadonlySet<string>
  readonly #headers: ReadonlySet<string>
  readonly #arguments: ReadonlySet<string>
  readonly #fields: readonly (readonly string[])[]
  readonly #redact: Redact | null

  constructor(settings: MaskingSettings) {
    this.#named = new Set(settings.log_mask_headers.map((name) => name.toLowerCase()))
    this.#headers = new Set([...CREDENTIALS, ...this.#named])
    this.#arguments = new Set(settings.log_mask_arguments)
    this.#fields = settings.log_mask_fields.map((path) => path.split('.'))
    this.#redact = compileRedaction(settings.log_mask_patterns, settings.log_mask_regex)
  }

  /** Whether any setting hides anything: without one only credentials are kept out of log records. */
  get isConfigured(): boolean {
    return this.#named.size > 0 || this.#arguments.size > 0 || this.#redact !== null
  }

  /** The value of one header field, whose name is in lower case, for those who don't take the whole record. */
  header(name: string, value: string): string {
    return this.#named.has(name) ? REDACTED : this.text(value)
  }

  /** A copy with hidden fields replaced; of a response only those that a setting names, as the others are none of its own. */
  headers<T>(shown: Readonly<Record<string, T>>, isResponse = false): Record<string, T | string> {
    const masked: Record<string, T | string> = { ...shown }
    const hidden = isResponse ? this.#named : this.#headers
    for (const name of hidden) if (Object.hasOwn(masked, name)) masked[name] = REDACTED
    return masked
  }

  /** A query as it was sent, with the values of hidden arguments replaced. */
  query(query: string | null): string | null {
    if (query === null || this.#arguments.size === 0) return query
    let masked = ''
    for (const part of query.split('&')) {
      const at = part.indexOf('=')
      const isHidden = at >= 0 && this.hidesArgument(decodeName(part.slice(0, at)))
      masked += `${masked === '' ? '' : '&'}${isHidden ? `${part.slice(0, at)}=${REDACTED}` : part}`
    }
    return masked
  }

  hidesArgument(name: string): boolean {
    return this.#arguments.has(name)
  }

  /** Texts of any other kind. */
  text(text: string): string {
    return this.#redact === null ? text : this.#redact(text)
  }

  /** Hides named fields and whatever the patterns find, in place. `record` is the caller's own. */
  record(record: JsonObject): void {
    for (const path of this.#fields) hide(record, path, 0)
    if (this.#redact === null) return
    for (const [name, value] of Object.entries(record))
      if (!NOT_SEARCHED.has(name)) record[name] = searched(value, this.#redact, 0)
  }
}

/** A path's step `*` is every member. What is hidden is replaced, so that one sees that it was there. */
function hide(holder: unknown, path: readonly string[], at: number): void {
  if (typeof holder !== 'object' || holder === null) return
  const step = path[at]!
  const members = holder as JsonObject
  const names = step === '*' ? Object.keys(members) : Object.hasOwn(members, step) ? [step] : []
  for (const name of names) {
    if (at === path.length - 1) members[name] = REDACTED
    else {
      // Entities are shared with the configuration: only copies are changed.
      const copy = shallowCopy(members[name])
      members[name] = copy
      hide(copy, path, at + 1)
    }
  }
}

function shallowCopy(value: unknown): unknown {
  if (Array.isArray(value)) return [...(value as unknown[])]
  return typeof value === 'object' && value !== null ? { ...value } : value
}

/** Records are not deeper than this unless custom fields make them so. */
const DEEPEST = 20

function searched(value: unknown, redact: Redact, depth: number): unknown {
  if (typeof value === 'string') return redact(value)
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return value
  if (Array.isArray(value)) return value.map((item) => searched(item, redact, depth + 1))
  // A query may have an argument `__proto__`, which must stay one.
  const copy = Object.create(null) as JsonObject
  for (const [name, member] of Object.entries(value)) copy[redact(name)] = searched(member, redact, depth + 1)
  return copy
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' '))
  } catch {
    // Not UTF-8: it can only be compared as it came.
    return name
  }
}
