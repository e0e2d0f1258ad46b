/** What `config.echo` shows of a request, in Kong's fields. */
import type { Exchange } from '#pdk'
import { parseBody, type BodyFields } from '#pdk/body-fields.ts'
import { parseArgs, type Args, type ArgValue } from '#pdk/form.ts'
import { valueOfJson } from '#pdk/json-members.ts'
import { fromWire } from '#pdk/wire-text.ts'

/** Of a longer body nothing is shown: an echo is for looking at requests, not for moving uploads. */
const BODY_LIMIT_BYTES = 1 << 20

export async function describeRequest(exchange: Exchange): Promise<object> {
  const { request } = exchange
  const bytes = request.body.exists ? await request.body.read(BODY_LIMIT_BYTES) : null
  const raw = bytes !== null && Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0)
  const fields = parseBody(request.headers.get('content-type'), raw)
  return {
    request: {
      scheme: request.scheme,
      host: request.host,
      port: request.port,
      headers: headersOf(exchange),
      query: plainArgs(parseArgs(request.query)),
      ...(fields === null ? {} : { body: plainBody(fields) }),
      raw_body: raw.toString('utf8'),
      method: request.method,
      path: fromWire(request.path),
      uri_captures: capturesOf(exchange),
    },
    ...(exchange.route === null ? {} : { matched_route: exchange.route }),
    ...(exchange.service === null ? {} : { matched_service: exchange.service }),
  }
}

function headersOf({ request }: Exchange): Record<string, unknown> {
  const entries = Object.entries(request.headers.toObject())
  return fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'string' ? fromWire(value) : value.map(fromWire)]),
  )
}

function capturesOf({ captures }: Exchange): object {
  if (captures === null) return { named: {}, unnamed: [] }
  const named = Object.entries(captures.named).map(([name, text]) => [name, fromWire(text)] as const)
  return { named: fromEntries(named), unnamed: captures.unnamed.map(fromWire) }
}

function plainBody(body: BodyFields): unknown {
  switch (body.kind) {
    case 'form':
      return plainArgs(body.args)
    case 'json':
      return fromEntries([...body.members].map(([name, raw]) => [name, valueOfJson(raw)]))
    case 'multipart':
      return fromEntries(body.form.parts.map(({ name, body: text }) => [fromWire(name ?? ''), fromWire(text)]))
  }
}

function plainArgs(args: Args): Record<string, unknown> {
  const text = (value: ArgValue) => (value === true ? true : fromWire(value))
  return fromEntries(
    [...args].map(([name, values]) => [fromWire(name), values.length === 1 ? text(values[0]!) : values.map(text)]),
  )
}

/** Without a prototype, so that a field named `__proto__` is a field. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const object = Object.create(null) as Record<string, unknown>
  for (const [name, value] of entries) object[name] = value
  return object
}
