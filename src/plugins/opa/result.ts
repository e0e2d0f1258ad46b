/** What a policy may answer: a yes or no, or an object that says more. */
import type { Decision, HeaderPairs } from '../authorization/decisions.ts'

const DENIED = { message: 'unauthorized' }

/** @param text the answer of OPA's data API: `{"result": ...}`; without a result the policy decided nothing, which is no yes */
export function decisionOf(text: string): Decision {
  const result = resultOf(text)
  if (result === true) return { is: 'allow', headers: [] }
  if (result === false) return { is: 'deny', status: 403, body: DENIED, headers: [] }
  if (typeof result !== 'object' || result === null || Array.isArray(result))
    return { is: 'failed', problem: 'the policy has no result that is true, false or an object' }
  const { allow, status, message, headers } = result as Readonly<Record<string, unknown>>
  if (typeof allow !== 'boolean') return { is: 'failed', problem: 'expected allow of the result to be true or false' }
  const pairs = pairsOf(headers)
  if (pairs === null) return { is: 'failed', problem: 'expected headers of the result to be an object of texts' }
  if (allow) return { is: 'allow', headers: pairs }
  if (status !== undefined && !isStatus(status))
    return { is: 'failed', problem: 'expected status of the result to be 200 to 599' }
  const body =
    typeof message === 'string' ? { message } : typeof message === 'object' && message !== null ? message : DENIED
  return { is: 'deny', status: status ?? 403, body, headers: pairs }
}

function resultOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { readonly result?: unknown } | null)?.result
  } catch {
    // Told as a policy without a result.
    return undefined
  }
}

function isStatus(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 200 && value <= 599
}

function pairsOf(headers: unknown): HeaderPairs | null {
  if (headers === undefined || headers === null) return []
  if (typeof headers !== 'object' || Array.isArray(headers)) return null
  const pairs: [string, string][] = []
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) || typeof value === 'object') return null
    pairs.push([name, String(value)])
  }
  return pairs
}
