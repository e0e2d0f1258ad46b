/** Settings whose text is `{vault://env/NAME}` or `{vault://env/NAME/key}`: read from another environment variable at start, as in Kong. */
import { isVaultReference, parseVaultReference, readVariable } from '../vault-reference.ts'

export type OpenedReference =
  | { readonly ok: true; readonly text: string; readonly isReferred: boolean }
  | { readonly ok: false; readonly problem: string }

export function openReference(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): OpenedReference {
  if (!isVaultReference(text)) return { ok: true, text, isReferred: false }
  const reference = parseVaultReference(text)
  if (reference?.vault !== 'env') {
    return {
      ok: false,
      problem:
        'expected a reference {vault://env/NAME} or {vault://env/NAME/key}; settings can be read from the environment only',
    }
  }
  const followed = readVariable(reference, '', environment)
  return 'value' in followed
    ? { ok: true, text: followed.value.trim(), isReferred: true }
    : { ok: false, problem: `${text}: ${followed.reason}` }
}
