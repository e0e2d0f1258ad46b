/** Settings whose text is `{vault://env/NAME}` or `{vault://env/NAME/key}`: read from another environment variable at start, as in Kong. */
export type OpenedReference =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: string }

const REFERENCE = /^\{vault:\/\/([^/{}]+)\/([^/{}?#]+)(?:\/([^/{}?#]+))?(?:\?prefix=([A-Za-z0-9_]*))?\}$/

export function openReference(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): OpenedReference {
  if (!text.startsWith('{vault://')) return { ok: true, text }
  const [, vault, name, key, prefix = ''] = REFERENCE.exec(text) ?? []
  if (vault !== 'env' || name === undefined) {
    return {
      ok: false,
      problem: `expected a reference {vault://env/NAME} or {vault://env/NAME/key}; settings can be read from the environment only`,
    }
  }
  const variable = (prefix + name).toUpperCase().replaceAll('-', '_')
  const value = environment[variable]
  if (value === undefined)
    return { ok: false, problem: `the variable ${variable}, which the reference names, is not set` }
  if (key === undefined) return { ok: true, text: value.trim() }
  const part = memberOf(value, key)
  if (part === null)
    return { ok: false, problem: `expected the variable ${variable} to hold a JSON object with a text under '${key}'` }
  return { ok: true, text: part.trim() }
}

function memberOf(json: string, key: string): string | null {
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch {
    return null // the caller names the variable; the parser's message would repeat a part of the secret
  }
  if (typeof parsed !== 'object' || parsed === null || !Object.hasOwn(parsed, key)) return null
  const value = (parsed as Record<string, unknown>)[key]
  return typeof value === 'string' ? value : null
}
