/** Which application asks, and whether it proves it (RFC 6749 2.3). */
import { FieldName, type Document, type EntityReader, type Exchange, type Exit } from '#pdk'
import { fromWire } from '#pdk/wire-text.ts'
import type { Oauth2Credentials } from './entities.ts'
import type { Parameters } from './parameters.ts'
import { INVALID_CLIENT, INVALID_CLIENT_CHALLENGED, problem, type Problem } from './problem.ts'
import { isSecret } from './secret.ts'

export type Client = Oauth2Credentials & Document

export interface ClientCredentials {
  readonly id: string
  readonly secret: string | null
  /** They came by HTTP's own authentication, scheme Basic. */
  readonly isFromHeader: boolean
}

/** As in Kong the parameters come first. Null when nothing names a client. */
export function clientCredentials(
  { request }: Exchange,
  parameters: Parameters,
  header: FieldName,
): ClientCredentials | null {
  const id = parameters.text('client_id')
  if (id !== null) return { id, secret: parameters.text('client_secret'), isFromHeader: false }
  const found = /^\s*basic\s+([A-Za-z0-9+/]+={0,2})\s*$/i.exec(header.get(request.headers) ?? '')
  if (found === null) return null
  const text = fromWire(Buffer.from(found[1]!, 'base64').latin1Slice())
  const colon = text.indexOf(':')
  return colon < 1 ? null : { id: text.slice(0, colon), secret: text.slice(colon + 1), isFromHeader: true }
}

export async function findClient(entities: EntityReader, id: string | null): Promise<Client | null> {
  return id === null || id === ''
    ? null
    : ((await entities.lookup('oauth2_credentials', 'client_id', id)) as Client | null)
}

/** The client that these credentials prove; what is wrong with them; or 503 when there is no time to check a hash. */
export async function authenticateClient(
  exchange: Exchange,
  entities: EntityReader,
  given: ClientCredentials | null,
): Promise<Client | Problem | Exit> {
  const refusal = given?.isFromHeader === true ? INVALID_CLIENT_CHALLENGED : INVALID_CLIENT
  const client = await findClient(entities, given?.id ?? null)
  if (client === null) return refusal
  const secret = given!.secret ?? ''
  if (client.client_type === 'public')
    return secret === '' ? client : problem('invalid_request', 'client_secret is disallowed for public clients')
  const stored = client.client_secret
  if (typeof stored !== 'string' || stored === '' || secret === '') return refusal
  const isRight = await isSecret(stored, client.hash_secret, secret)
  if (isRight === null) return exchange.fail(503, 'Service unavailable', { headers: { 'Retry-After': '1' } })
  return isRight ? client : refusal
}
