/** What an authentication plugin tells the upstream about the client, in Kong's headers. */
import type { Consumer } from '#model/entities/consumer.ts'
import type { Credential, Exchange } from './exchange.ts'
import { headerValue } from './wire-text.ts'

/**
 * Makes the client known to later plugins and to the upstream. Without a credential the consumer is the anonymous one. Headers
 * for which there is no value are removed, so that a client can't claim to be somebody.
 * @param identifier what X-Credential-Identifier says: the credential's id, or the name it was found by.
 */
export function identify(
  exchange: Exchange,
  consumer: Consumer | null,
  credential: Credential | null,
  identifier: string | null,
): void {
  exchange.authenticate(consumer, credential)
  const { headers } = exchange.request
  put(exchange, 'X-Consumer-ID', consumer?.id ?? null)
  put(exchange, 'X-Consumer-Custom-ID', consumer?.custom_id ?? null)
  put(exchange, 'X-Consumer-Username', consumer?.username ?? null)
  put(exchange, 'X-Credential-Identifier', identifier)
  if (credential === null) headers.set('X-Anonymous-Consumer', 'true')
  else headers.remove('X-Anonymous-Consumer')
}

function put(exchange: Exchange, name: string, value: string | null): void {
  if (value === null) exchange.request.headers.remove(name)
  else exchange.request.headers.set(name, headerValue(value))
}
