import type { Parameters } from './parameters.ts'
import { isSame } from './secret.ts'

/** Whether a request comes from the site that logs users in: it alone has the key. An empty key is nobody's. */
export function knowsProvisionKey(
  { provision_key: expected }: { readonly provision_key: string | null },
  parameters: Parameters,
): boolean {
  return expected !== null && expected !== '' && isSame(expected, parameters.text('provision_key') ?? '')
}
