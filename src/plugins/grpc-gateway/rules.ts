/** Which call of gRPC a request over HTTP is: the options `google.api.http` of a .proto file (google/api/http.proto). */
import type { Method } from '../grpc/proto-file.ts'

export interface Rule {
  readonly httpMethod: string
  readonly pattern: RegExp
  /** Dotted names of fields, one for each group of the pattern. */
  readonly fields: readonly (readonly string[])[]
  /** The field that the body is; '*' for the whole message, null where the query has the fields. */
  readonly body: string | null
  readonly method: Method
}

const OPTION = '(google.api.http)'
const HTTP_METHODS = ['get', 'put', 'post', 'delete', 'patch'] as const

/** In the order in which they are tried. Throws for a template that is none. */
export function rulesOf(methods: readonly Method[]): Rule[] {
  return methods.flatMap((method) =>
    method.options.flatMap((options) => {
      const option = options[OPTION]
      if (!isRecord(option)) return []
      const more = option['additional_bindings']
      return [option, ...(Array.isArray(more) ? (more as unknown[]) : [more])]
        .filter(isRecord)
        .flatMap((binding) => rule(binding, method))
    }),
  )
}

function rule(binding: Readonly<Record<string, unknown>>, method: Method): Rule[] {
  const custom = binding['custom']
  const known = HTTP_METHODS.find((name) => typeof binding[name] === 'string')
  const [httpMethod, template] =
    known !== undefined
      ? [known, binding[known]]
      : isRecord(custom)
        ? [custom['kind'], custom['path']]
        : [undefined, undefined]
  if (typeof httpMethod !== 'string' || typeof template !== 'string') return []
  const body = binding['body']
  return [
    {
      httpMethod: httpMethod.toUpperCase(),
      ...compileTemplate(template),
      body: typeof body === 'string' && body !== '' ? body : null,
      method,
    },
  ]
}

/** `/v1/{name=shelves/*}/books/{book}:read`: literals, `*` for a segment, `**` for any number, fields in braces. */
export function compileTemplate(template: string): Pick<Rule, 'pattern' | 'fields'> {
  if (!template.startsWith('/')) throw new Error(`google.api.http: expected a path, got '${template}'`)
  const fields: string[][] = []
  let pattern = ''
  for (const [whole, variable, inner, wildcard, rest] of template.matchAll(PARTS)) {
    if (variable !== undefined) {
      fields.push(variable.split('.'))
      pattern += `(${(inner ?? '*').replaceAll(INNER, innerPart)})`
    } else if (wildcard !== undefined) pattern += wildcardPart(wildcard)
    else if (rest !== undefined) throw new Error(`google.api.http: unexpected '${rest}' in '${template}'`)
    else pattern += RegExp.escape(whole)
  }
  return { pattern: new RegExp(`^${pattern}$`), fields }
}

const PARTS = /\{([\w.]+)(?:=([^{}]+))?\}|(\*\*?)|([{}])|[^{}*]+/g
const INNER = /\*\*?|[^*]+/g

function innerPart(part: string): string {
  return part.startsWith('*') ? wildcardPart(part) : RegExp.escape(part)
}

function wildcardPart(wildcard: string): string {
  return wildcard === '**' ? '.+' : '[^/]+'
}

export interface Match {
  readonly rule: Rule
  /** What the path says of the message's fields, decoded. */
  readonly values: readonly (readonly [field: readonly string[], value: string])[]
}

/** Null where no rule is for it. */
export function matchRule(rules: readonly Rule[], httpMethod: string, path: string): Match | null {
  for (const one of rules) {
    if (one.httpMethod !== httpMethod) continue
    const found = one.pattern.exec(path)
    if (found === null) continue
    return { rule: one, values: one.fields.map((field, at) => [field, decoded(found[at + 1]!)] as const) }
  }
  return null
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A stray '%' stands for itself.
    return text
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
