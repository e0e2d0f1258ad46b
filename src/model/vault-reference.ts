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
  const parts = /^\{vault:\/\/([^/?#]+)\/([^/?#]+)(?:\/([^?#]+))?(?:\?([^#]*))?(?:#(\d{1,9}))?\}$/.exec(text)
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

/** Broken escapes stand for themselves. */
function unescaped(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8'))
}
