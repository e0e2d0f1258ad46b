/** What a client says to the endpoints of the authorization server: query and body, the body wins (RFC 6749 3.1, 3.2; JSON as in Kong). */
import type { Exchange } from '#pdk'
import { bodyKind, parseBody } from '#pdk/body-fields.ts'
import { parseArgs, type Args } from '#pdk/form.ts'
import { valueOfJson } from '#pdk/json-members.ts'
import { fromWire } from '#pdk/wire-text.ts'

/** Longer than any token request; one that is longer is none. */
const BODY_LIMIT_BYTES = 1 << 20

/** Values by name; a value that came several times, or is no text, is what it is and no text. */
export class Parameters {
  readonly #values = new Map<string, unknown>()

  /** The text of a parameter; null when it is absent or no text. */
  text(name: string): string | null {
    const value = this.#values.get(name)
    return typeof value === 'string' ? value : null
  }

  /** Anything but null, in JSON. */
  has(name: string): boolean {
    return (this.#values.get(name) ?? null) !== null
  }

  addArgs(args: Args): void {
    for (const [name, values] of args)
      this.set(fromWire(name), values.length === 1 && typeof values[0] === 'string' ? fromWire(values[0]) : values)
  }

  set(name: string, value: unknown): void {
    this.#values.set(name, value)
  }
}

/** A body that is too long, not whole, or not what its type says adds nothing. */
export function readParameters({ request }: Exchange): Parameters | Promise<Parameters> {
  const parameters = new Parameters()
  parameters.addArgs(parseArgs(request.query))
  const type = request.headers.get('content-type')
  return request.body.exists && bodyKind(type) !== null ? withBody(request, parameters, type) : parameters
}

async function withBody(
  request: Exchange['request'],
  parameters: Parameters,
  type: string | null,
): Promise<Parameters> {
  const bytes = await request.body.read(BODY_LIMIT_BYTES)
  const body = Buffer.isBuffer(bytes) ? parseBody(type, bytes) : null
  switch (body?.kind) {
    case 'form':
      parameters.addArgs(body.args)
      break
    case 'json':
      for (const [name, raw] of body.members) parameters.set(name, valueOfJson(raw))
      break
    case 'multipart':
      for (const part of body.form.parts)
        if (part.name !== null) parameters.set(fromWire(part.name), fromWire(part.body))
      break
  }
  return parameters
}
