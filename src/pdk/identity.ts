/** What an authentication plugin tells the upstream about the client, in Kong's headers. */
import type { HeaderList } from '#http/header-list.ts'
import type { Consumer } from '#model/entities/consumer.ts'
import type { Credential, Exchange } from './exchange.ts'
import { FieldName } from './field-name.ts'
import { headerValue } from './wire-text.ts'

const ID = new FieldName('X-Consumer-ID')
const CUSTOM_ID = new FieldName('X-Consumer-Custom-ID')
const USERNAME = new FieldName('X-Consumer-Username')
const CREDENTIAL = new FieldName('X-Credential-Identifier')
const ANONYMOUS = new FieldName('X-Anonymous-Consumer')

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
  put(headers, ID, consumer?.id ?? null)
  put(headers, CUSTOM_ID, consumer?.custom_id ?? null)
  put(headers, USERNAME, consumer?.username ?? null)
  put(headers, CREDENTIAL, identifier)
  if (credential === null) ANONYMOUS.set(headers, 'true')
  else ANONYMOUS.remove(headers)
}

function put(headers: HeaderList, field: FieldName, value: string | null): void {
  if (value === null) field.remove(headers)
  else field.set(headers, headerValue(value))
}
