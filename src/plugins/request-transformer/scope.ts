/** What templates of one request can look into. Each part is made when a template first asks, and then stays as it was then. */
import type { Exchange } from '#pdk'
import type { Table, TemplateScope } from '#core/template.ts'
import { parseArgs } from '#pdk/form.ts'
import { toWire } from '#pdk/wire-text.ts'

export class RequestScope implements TemplateScope {
  failure: string | null = null
  readonly #exchange: Exchange
  #headers: Table | null = null
  #query: Table | null = null
  #captures: Table | null = null
  #shared: Table | null = null

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  lookup(name: string | number): unknown {
    switch (name) {
      case 'headers':
        return (this.#headers ??= headerTable(this.#exchange))
      case 'query_params':
        return (this.#query ??= queryTable(this.#exchange))
      case 'uri_captures':
        return (this.#captures ??= captureTable(this.#exchange))
      case 'shared':
        return (this.#shared ??= sharedTable(this.#exchange))
      default:
        return undefined
    }
  }
}

/** Names in any case, and `_` for `-` as a Lua name needs it. */
function headerTable({ request }: Exchange): Table {
  const values = request.headers.toObject()
  return {
    lookup: (key) => {
      const name = String(key).toLowerCase()
      return values[name] ?? values[name.replaceAll('_', '-')]
    },
  }
}

function queryTable({ request }: Exchange): Table {
  const args = parseArgs(request.query)
  return {
    lookup: (key) => {
      const values = args.get(String(key))
      return values === undefined || values.length > 1 ? values : values[0]
    },
  }
}

/** Groups of the route's regular expression, by name and from 1 by number. */
function captureTable({ captures }: Exchange): Table {
  return {
    lookup: (key) => {
      if (captures === null) return undefined
      if (typeof key === 'number') return captures.unnamed[key - 1]
      return Object.hasOwn(captures.named, key) ? captures.named[key] : undefined
    },
  }
}

function sharedTable({ shared }: Exchange): Table {
  return {
    lookup: (key) => {
      const value = shared.get(String(key))
      return typeof value === 'string' ? toWire(value) : value
    },
  }
}
