/** References to secrets that are kept elsewhere: `{vault://name/resource[/key][?config][#version]}`. */

export interface VaultReference {
  /** `env`, or the prefix of a vault entity. */
  readonly vault: string
  readonly resource: string
  /** Member of the JSON object that the resource holds; null for the whole. */
  readonly key: string | null
  /** Instead of what the vault entity says. */
  readonly config: ReadonlyMap<string, string>
  readonly version: number | null
}

/** Whether the text stands for a secret kept elsewhere. */
export function isVaultReference(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('{vault://') && value.endsWith('}')
}

/** Null for a text that has the braces but names no vault or no resource. */
export function parseVaultReference(text: string): VaultReference | null {
  // Of several parts the last is the key, as in Kong: the resource of an HTTP vault may have slashes.
  const parts = /^\{vault:\/\/([^/?#]+)\/([^?#]*?[^/?#])(?:\/([^/?#]+))?(?:\?([^#]*))?(?:#(\d{1,9}))?\}$/.exec(text)
  if (parts === null) return null
  const [, vault = '', resource = '', key, query = '', version] = parts
  return {
    vault: unescaped(vault),
    resource: unescaped(resource),
    key: key === undefined ? null : unescaped(key),
    config: new Map(new URLSearchParams(query)),
    version: version === undefined ? null : Number(version),
  }
}

export type Followed = { readonly value: string } | { readonly reason: string }

/**
 * What the vault `env` has for a reference: a variable, or a member of the JSON object in it. `prefix` is that of the vault's entity;
 * the variable `withheld` is refused. The reason never shows the value.
 */
export function readVariable(
  { config, resource, key, version }: VaultReference,
  prefix: string,
  environment: Readonly<Record<string, string | undefined>>,
  withheld: string | null = null,
): Followed {
  // The env vault's second version is what was there before.
  const suffix = version === 2 ? '_PREVIOUS' : ''
  const name = ((config.get('prefix') ?? prefix) + resource).replaceAll('-', '_').toUpperCase() + suffix
  if (name === withheld) return { reason: `the environment variable ${name} holds the keyring` }
  const value = environment[name]
  if (value === undefined) return { reason: `the environment variable ${name} is not set` }
  return takeMember(value, key)
}

/** What a reference with this key takes of a resource's text: all of it, or a member of the JSON object. */
export function takeMember(text: string, key: string | null): Followed {
  if (key === null) return { value: text }
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // The parser's message would show a part of the secret.
    return { reason: 'the value is not JSON' }
  }
  const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
  const value = isObject && Object.hasOwn(parsed as object, key) ? (parsed as Record<string, unknown>)[key] : undefined
  if (typeof value === 'string') return { value }
  if (typeof value === 'number' || typeof value === 'boolean') return { value: String(value) }
  return { reason: `expected a text below ${JSON.stringify(key)} in the JSON object` }
}

/** Broken escapes stand for themselves. */
function unescaped(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8'))
}
