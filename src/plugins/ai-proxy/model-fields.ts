/** Parts of the model's configuration that requests say, as Kong writes them: `$(headers.x)`, `$(uri_captures.x)`, `$(query_params.x)`. */
import type { Exchange } from '#pdk'
import type { FieldProblem, ModelOptions, ModelSettings } from '../ai/provider.ts'

const PLACE = /\$\(([^)]*)\)/g
const KNOWN = /^(headers|uri_captures|query_params)\.(.+)$/
/** Where they may stand. Which server is asked no client says. */
const OPTIONS = ['upstream_path', 'azure_deployment_id', 'azure_api_version'] as const
const NEVER = ['upstream_url', 'azure_instance'] as const

/** What can't be had of a request, or stands where it may not. */
export function refuseFields({ name, options }: ModelSettings): FieldProblem | null {
  for (const field of NEVER)
    if (hasPlace(options?.[field])) return { field: `model.options.${field}`, message: 'can not be said by requests' }
  const fields = [['model.name', name], ...OPTIONS.map((one) => [`model.options.${one}`, options?.[one]])] as const
  for (const [field, text] of fields)
    for (const [place, what] of text?.matchAll(PLACE) ?? [])
      if (!KNOWN.test(what!))
        return { field: field!, message: `expected headers, uri_captures or query_params with a name, got '${place}'` }
  return null
}

/** Whether the model differs from request to request. */
export function hasFields({ name, options }: ModelSettings): boolean {
  return hasPlace(name) || OPTIONS.some((field) => hasPlace(options?.[field]))
}

/** The model as this request says it; or what it does not say. */
export function fillModel(exchange: Exchange, model: ModelSettings): ModelSettings | { readonly problem: string } {
  let problem: string | null = null
  const fill = (text: string, isPath: boolean): string =>
    text.replace(PLACE, (_place, what: string) => {
      const value = valueOf(exchange, what)
      if (value === null || value === '') problem ??= `${what} was not provided`
      else if (isPath && value.split('/').some((segment) => segment === '.' || segment === '..'))
        problem ??= `${what} is no path`
      return isPath ? (value ?? '').split('/').map(encodeURIComponent).join('/') : (value ?? '')
    })
  const name = model.name === null ? null : fill(model.name, false)
  let options: ModelOptions | null = model.options
  for (const field of OPTIONS) {
    const text = options?.[field]
    if (options != null && text != null && hasPlace(text))
      options = { ...options, [field]: fill(text, field === 'upstream_path') }
  }
  return problem === null ? { ...model, name, options } : { problem }
}

function hasPlace(text: string | null | undefined): boolean {
  return text != null && text.includes('$(')
}

function valueOf({ request, captures }: Exchange, what: string): string | null {
  const [, source, name] = KNOWN.exec(what)!
  switch (source) {
    case 'headers':
      return request.headers.get(name!)
    case 'uri_captures':
      return captures !== null && Object.hasOwn(captures.named, name!) ? captures.named[name!]! : null
    default:
      return new URLSearchParams(request.query ?? '').get(name!)
  }
}
