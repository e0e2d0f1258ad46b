/** The message of a call from what a request over HTTP says: path, query and body. */
import type { Match } from './rules.ts'

type Message = Record<string, unknown>

/** JSON for the message, or what is wrong with the request. Only what the path says can't be overridden. */
export function messageOf({ rule, values }: Match, query: string | null, body: Buffer): Message | string {
  const message: Message = Object.create(null) as Message
  if (rule.body === null) addQuery(message, query)
  else if (body.length > 0) {
    let json: unknown
    try {
      json = JSON.parse(body.toString())
    } catch {
      return 'the body is not JSON'
    }
    if (rule.body === '*') {
      if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'body must be a table'
      for (const [name, value] of Object.entries(json)) message[name] = value
    } else message[rule.body] = json
  }
  for (const [field, value] of values) {
    const problem = put(message, field, value, true)
    if (problem !== null) return problem
  }
  return message
}

/** Arguments that are no fields are left out later; one that is there several times is a list. */
function addQuery(message: Message, query: string | null): void {
  for (const [name, value] of new URLSearchParams(query ?? '')) put(message, name.split('.'), value, false)
}

function put(message: Message, field: readonly string[], value: string, replaces: boolean): string | null {
  let holder = message
  for (const step of field.slice(0, -1)) {
    const inner = holder[step] ?? (Object.create(null) as Message)
    if (typeof inner !== 'object' || Array.isArray(inner)) return `${field.join('.')}: ${step} is no message`
    holder[step] = inner
    holder = inner as Message
  }
  const name = field.at(-1)!
  const before = holder[name]
  holder[name] =
    before === undefined || replaces
      ? value
      : Array.isArray(before)
        ? [...(before as unknown[]), value]
        : [before, value]
  return null
}
