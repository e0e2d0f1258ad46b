/** Whether the text stands for a secret kept elsewhere: `{vault://name/resource[/key][?config][#version]}`. */
export function isVaultReference(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('{vault://') && value.endsWith('}')
}
