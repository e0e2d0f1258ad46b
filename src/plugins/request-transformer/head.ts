/** Changes to path, method and headers. */
import type { TemplateScope } from '#core/template.ts'
import type { Exchange } from '#pdk'
import { safeHeaderValue, safePath } from '#pdk/wire-text.ts'
import type { Operations, Pair, Value } from './operations.ts'

/** The path that the upstream gets; what stands behind a '?' in it is returned, to go in front of the query. */
export function transformUri({ upstream }: Exchange, uri: Value, scope: TemplateScope): string | null {
  const text = uri.render(scope)
  if (text === null) return null
  const safe = safePath(text.startsWith('/') ? text : `/${text}`)
  const mark = safe.indexOf('?')
  upstream.path = mark < 0 ? safe : safe.slice(0, mark)
  return mark < 0 ? null : safe.slice(mark + 1)
}

/** Of the Host header only `replace` has an effect, as in Kong: it is not the client's that the upstream gets. */
export function transformHeaders(exchange: Exchange, operations: Operations, scope: TemplateScope): void {
  const { headers } = exchange.request
  // Templates see the headers as they came: looked up now, they are kept.
  if (operations.names.has('headers')) scope.lookup('headers')
  for (const { name } of operations.remove) if (!isHost(name)) headers.remove(name)
  for (const { name, value } of operations.rename) rename(exchange, name, value.render(scope)?.trim() ?? null)
  for (const pair of operations.replace) {
    if (!isHost(pair.name) && !headers.has(pair.name)) continue
    const value = headerText(pair, scope)
    if (value === null) continue
    if (isHost(pair.name)) exchange.upstream.hostHeader = value
    else headers.set(pair.name, value)
  }
  for (const pair of operations.add) {
    if (isHost(pair.name) || headers.has(pair.name)) continue
    const value = headerText(pair, scope)
    if (value !== null) headers.append(pair.name, value)
  }
  for (const pair of operations.append) {
    const value = isHost(pair.name) ? null : headerText(pair, scope)
    if (value !== null) headers.append(pair.name, value)
  }
}

/** All values go to the new name, whose own are gone then. */
function rename({ request: { headers } }: Exchange, from: string, to: string | null): void {
  if (to === null || isHost(from) || isHost(to)) return
  const values = headers.getAll(from)
  if (values.length === 0) return
  headers.remove(from)
  headers.remove(to)
  for (const value of values) headers.append(to, value)
}

function headerText({ value }: Pair, scope: TemplateScope): string | null {
  const text = value.render(scope)
  return text === null ? null : safeHeaderValue(text).trim()
}

function isHost(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === 'host'
}
