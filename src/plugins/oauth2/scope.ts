/** What a token may be used for (RFC 6749 3.3). */
import type { Parameters } from './parameters.ts'
import { problem, type Problem } from './problem.ts'

/** The scopes that are asked for, separated by spaces; null for none. Asked for where the plugin knows none, they are ignored, as in Kong. */
export function requestedScope(
  parameters: Parameters,
  config: { readonly scopes: readonly string[] | null; readonly mandatory_scope: boolean },
): string | null | Problem {
  if (!parameters.has('scope'))
    return config.mandatory_scope ? problem('invalid_scope', 'You must specify a scope') : null
  if (config.scopes === null) return null
  const text = parameters.text('scope')
  if (text === null) return problem('invalid_scope', 'scope must be a string')
  const scopes = splitScope(text)
  const unknown = scopes.find((scope) => !config.scopes!.includes(scope))
  if (unknown !== undefined) return problem('invalid_scope', `"${unknown}" is an invalid scope`)
  return scopes.length > 0 ? scopes.join(' ') : null
}

/** The scope of a refreshed token: that of the one before, or a part of it (RFC 6749 6). */
export function refreshedScope(parameters: Parameters, before: string | null): string | null | Problem {
  if (!parameters.has('scope')) return before
  const text = parameters.text('scope')
  if (text === null) return problem('invalid_scope', 'scope must be a string')
  const granted = splitScope(before ?? '')
  const scopes = splitScope(text)
  if (!scopes.every((scope) => granted.includes(scope))) return problem('invalid_scope', 'Scope mismatch')
  return scopes.length > 0 ? scopes.join(' ') : null
}

function splitScope(text: string): string[] {
  return text.split(/\s+/).filter((scope) => scope !== '')
}
