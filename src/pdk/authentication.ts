/** What the authentication plugins have in common: looking somebody up, and what happens to requests that are nobody's. */
import type { Document } from '#model/document.ts'
import type { Consumer } from '#model/entities/consumer.ts'
import { storeFailure } from './store-failure.ts'
import type { Exchange, Exit } from './exchange.ts'
import { identify } from './identity.ts'
import type { EntityReader, PluginLog } from './pdk.ts'
import { headerValue } from './wire-text.ts'

export type Outcome = void | Exit | Promise<void | Exit>

/** Goes on with what was looked up; answers 503 when the store can't be asked. Awaits nothing when the answer is there at once. */
export function whenFound<T>(exchange: Exchange, found: T | Promise<T>, next: (found: T) => Outcome): Outcome {
  return found instanceof Promise ? answered(exchange, found.then(next)) : next(found)
}

/**
 * Makes the owner of a proven credential the exchange's consumer.
 * @param identifier what the upstream is told in X-Credential-Identifier
 * @param whenGone what happens when the consumer was deleted between the look-ups, with all its credentials
 */
export function identifyOwner<S extends { readonly entities: EntityReader }>(
  exchange: Exchange,
  state: S,
  credential: Document,
  identifier: string | null,
  whenGone: (exchange: Exchange, state: S) => Outcome,
): Outcome {
  const { id } = credential['consumer'] as { readonly id: string }
  const consumer = state.entities.get('consumers', id)
  if (consumer instanceof Promise) {
    const later = (found: Document | null) => withOwner(exchange, state, credential, identifier, whenGone, found)
    return whenFound(exchange, consumer, later)
  }
  // What is cached is most of what is asked for: no function is made for it.
  return withOwner(exchange, state, credential, identifier, whenGone, consumer)
}

function withOwner<S>(
  exchange: Exchange,
  state: S,
  credential: Document,
  identifier: string | null,
  whenGone: (exchange: Exchange, state: S) => Outcome,
  consumer: Document | null,
): Outcome {
  if (consumer === null) return whenGone(exchange, state)
  identify(exchange, consumer as unknown as Consumer, credential, identifier)
}

/** The consumer named by `config.anonymous`, as whom requests pass that are nobody's. */
export class AnonymousConsumer {
  /** Id or user name; null: such requests are refused. */
  readonly #idOrName: string | null
  readonly #entities: EntityReader
  readonly #log: PluginLog
  /** Whether the log has said that the consumer is not there. */
  #hasWarned = false

  constructor(
    idOrName: string | null,
    { entities, log }: { readonly entities: EntityReader; readonly log: PluginLog },
  ) {
    this.#idOrName = idOrName
    this.#entities = entities
    this.#log = log
  }

  /** Whether there is one for requests that are nobody's. */
  get isThere(): boolean {
    return this.#idOrName !== null
  }

  /** Whether nothing has to be proven any more: with an anonymous consumer several authentication plugins mean 'or'. */
  isSpared(exchange: Exchange): boolean {
    return this.#idOrName !== null && exchange.credential !== null
  }

  /** Lets the request pass as the anonymous consumer's, or answers with `refusal` when there is none. */
  standIn(exchange: Exchange, refusal: Exit): Outcome {
    const idOrName = this.#idOrName
    if (idOrName === null) return refusal
    return whenFound(exchange, this.#find(idOrName), (consumer) => {
      if (consumer !== null) return identify(exchange, consumer as unknown as Consumer, null, null)
      if (!this.#hasWarned) {
        this.#hasWarned = true
        this.#log.error({ consumer: idOrName }, 'the consumer named by config.anonymous does not exist')
      }
      return exchange.fail(500, 'An unexpected error occurred')
    })
  }

  /** By id, else by user name: a user name may look like an id. */
  #find(idOrName: string): Document | null | Promise<Document | null> {
    const byId = UUID.test(idOrName) ? this.#entities.get('consumers', idOrName) : null
    const byName = () => this.#entities.lookup('consumers', 'username', idOrName)
    return byId instanceof Promise ? byId.then((found) => found ?? byName()) : (byId ?? byName())
  }
}

/** `scheme realm="..."`, the realm as a quoted string (RFC 9110 5.6.4). */
export function challenge(scheme: string, realm: string | null): string {
  return realm === null ? scheme : `${scheme} realm="${headerValue(realm.replaceAll(/["\\]/g, '\\$&'))}"`
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

async function answered(exchange: Exchange, outcome: Promise<void | Exit>): Promise<void | Exit> {
  try {
    return await outcome
  } catch (error) {
    return storeFailure(exchange, error)
  }
}
