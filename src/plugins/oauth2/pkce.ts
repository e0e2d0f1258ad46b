/** Proof Key for Code Exchange (RFC 7636): who exchanges a code shows that it was given to him. S256 only, as in Kong. */
import { createHash } from 'node:crypto'
import type { Client } from './client.ts'
import type { Parameters } from './parameters.ts'
import { problem, type Problem } from './problem.ts'
import { isSame } from './secret.ts'

/** Null, which a configuration may say, is `lax`. */
export type PkceMode = 'none' | 'lax' | 'strict' | null

/** The challenge to keep with the code; null where none is asked for and none came. */
export function codeChallenge(parameters: Parameters, client: Client, mode: PkceMode): string | null | Problem {
  if (mode === 'none') return null
  const hasMethod = parameters.has('code_challenge_method')
  const challenge = parameters.text('code_challenge')
  if (challenge === null || challenge === '') {
    if (hasMethod) return problem('invalid_request', 'code_challenge is required when code_method is present')
    return requiresPkce(client, mode)
      ? problem('invalid_request', `code_challenge is required for ${client.client_type} clients`)
      : null
  }
  return parameters.text('code_challenge_method') === 'S256'
    ? challenge
    : problem('invalid_request', 'code_challenge_method is not supported, must be S256')
}

/** Whether the exchange of a code may go on: null, or what is wrong. */
export function checkVerifier(parameters: Parameters, challenge: string | null): Problem | null {
  if (challenge === null) return null
  if (!parameters.has('code_verifier'))
    return problem('invalid_request', 'code_verifier is required for PKCE authorization requests')
  const verifier = parameters.text('code_verifier')
  if (verifier === null) return problem('invalid_request', 'code_verifier is not a string')
  if (verifier.length < 43 || verifier.length > 128)
    return problem('invalid_request', 'code_verifier must be between 43 and 128 characters')
  const made = createHash('sha256').update(verifier).digest('base64url')
  // Some clients pad what RFC 7636 says to write without padding.
  return isSame(challenge.replace(/=+$/, ''), made) ? null : problem('invalid_grant', 'Invalid code')
}

export function requiresPkce(client: Client, mode: PkceMode): boolean {
  return mode === 'strict' || (mode !== 'none' && client.client_type === 'public')
}
