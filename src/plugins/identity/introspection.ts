/** Asks an authorization server whether a token holds (RFC 7662). */
import type { ClientProof } from './client-auth.ts'
import type { ProviderClient } from './provider-client.ts'
import type { TokenAnswer } from './token-answers.ts'

export interface IntrospectionQuestion {
  readonly url: URL
  /** Who asks. */
  readonly proof: ClientProof
  readonly token: string
  readonly parameters: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

export async function introspect(client: ProviderClient, question: IntrospectionQuestion): Promise<TokenAnswer> {
  const { url, proof, token, parameters, headers } = question
  const form = { ...parameters, ...proof.parameters, token }
  const answer = await client.postForm('introspection', url, form, { ...headers, ...proof.headers })
  if (answer.is === 'failed') return answer
  // RFC 7662 2.3: an error is about the gateway's own credentials or question, never about the token.
  if (answer.is === 'refused') return { is: 'failed', problem: `${url.host} refused the question: ${answer.error}` }
  const { active } = answer.json
  if (typeof active !== 'boolean') return { is: 'failed', problem: `${url.host}: expected active to be true or false` }
  return active ? { is: 'active', claims: answer.json } : { is: 'inactive' }
}
