/** The log record of a plugin configuration: Kong's fields, and `custom_fields` where Kong has `custom_fields_by_lua`. */
import { compileTemplate, type Template, type TemplateScope } from '#core/template.ts'
import type { LogRecord } from '#telemetry/serializer.ts'
import type { Exchange } from './exchange.ts'
import type { PluginDelivery } from './pdk.ts'

interface CustomField {
  readonly path: readonly string[]
  readonly template: Template
}

/** Makes the record of an exchange. `custom` holds templates by the dotted name of the field; they were checked when they were written. */
export function logRecords(
  custom: Readonly<Record<string, string>> | null | undefined,
  delivery: PluginDelivery,
): (exchange: Exchange) => LogRecord {
  const fields = Object.entries(custom ?? {}).map(([name, text]): CustomField => {
    const compiled = compileTemplate(text)
    if (!compiled.ok) throw new Error(`custom_fields.${name}: ${compiled.reason}`)
    return { path: name.split('.'), template: compiled.template }
  })
  if (fields.length === 0) return (exchange) => delivery.record(exchange)
  return (exchange) => {
    const record = delivery.record(exchange) as unknown as Record<string, unknown>
    const scope = new RecordScope(record, exchange)
    const values = fields.map(({ template }) => scope.evaluate(template))
    for (const [at, { path }] of fields.entries()) place(record, path, values[at])
    // What a template took from elsewhere than the record has not been looked at yet.
    delivery.masking.record(record)
    return record as unknown as LogRecord
  }
}

/** Names are those of the record; `headers` and `query_params` are short for those of the request. */
class RecordScope implements TemplateScope {
  failure: string | null = null
  readonly #record: Readonly<Record<string, unknown>>
  readonly #exchange: Exchange

  constructor(record: Readonly<Record<string, unknown>>, exchange: Exchange) {
    this.#record = record
    this.#exchange = exchange
  }

  /** Undefined also where the template takes a field of what is not there: such a field is left out. */
  evaluate(template: Template): unknown {
    this.failure = null
    const value = template.evaluate(this)
    return this.failure === null ? value : undefined
  }

  lookup(key: string | number): unknown {
    // A session below HTTP has none.
    const request = (this.#record['request'] ?? { headers: {} }) as Readonly<Record<string, unknown>>
    switch (key) {
      case 'headers':
        return new Fields(request['headers'] as Readonly<Record<string, unknown>>)
      case 'query_params':
        return request['querystring']
      case 'uri_captures':
        return { ...this.#exchange.captures?.named, unnamed: this.#exchange.captures?.unnamed ?? [] }
      case 'shared':
        return Object.fromEntries(this.#exchange.shared)
      case 'request':
        return { ...request, headers: new Fields(request['headers'] as Readonly<Record<string, unknown>>) }
      default:
        return Object.hasOwn(this.#record, key) ? this.#record[key] : undefined
    }
  }
}

/** Header fields by name, where `_` stands for `-` and letters have no case, as in Kong's templates. */
class Fields {
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(fields: Readonly<Record<string, unknown>>) {
    this.#fields = fields
  }

  lookup(key: string | number): unknown {
    const name = String(key).toLowerCase()
    const dashed = name.replaceAll('_', '-')
    return Object.hasOwn(this.#fields, name)
      ? this.#fields[name]
      : Object.hasOwn(this.#fields, dashed)
        ? this.#fields[dashed]
        : undefined
  }

  toJSON(): unknown {
    return this.#fields
  }
}

/** Nothing, nil or an empty text takes the field out. Objects on the way are copied, as entities are shared with the configuration. */
function place(record: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let holder = record
  for (const step of path.slice(0, -1)) {
    const inner = Object.hasOwn(holder, step) ? holder[step] : undefined
    const copy = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? { ...inner } : {}
    define(holder, step, copy)
    holder = copy
  }
  const last = path.at(-1)!
  if (value === undefined || value === null || value === '') delete holder[last]
  else define(holder, last, value)
}

/** Also for a name such as `__proto__`. */
function define(holder: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true })
}
