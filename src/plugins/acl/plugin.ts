/** Lets consumers in, or keeps them out, by the groups that they belong to, as Kong's acl does it. */
import { definePlugin, FieldName, storeFailure, type Document, type EntityReader, type Exchange, type Exit } from '#pdk'
import { headerValue } from '#pdk/wire-text.ts'
import { acls } from './entities.ts'
import { schema } from './schema.ts'

interface State {
  readonly entities: EntityReader
  readonly groups: ReadonlySet<string>
  /** Whether belonging to one of the groups keeps out instead of letting in. */
  readonly denies: boolean
  readonly hidesHeader: boolean
  readonly prefersAuthenticatedGroups: boolean
  /**
   * For a consumer's rows, whether they let in and what the header then says: a string, or null when they don't. The reader answers
   * the same list until a row of that consumer changes, so the list itself is the key, and needs no invalidation.
   */
  readonly decisions: WeakMap<readonly Document[], string | null>
}

const CONSUMER_GROUPS = new FieldName('X-Consumer-Groups')
const AUTHENTICATED_GROUPS = new FieldName('X-Authenticated-Groups')

export const acl = definePlugin({
  schema,
  entities: [acls],

  prepare(config, { entities }): State {
    const denies = (config.deny?.length ?? 0) > 0
    return {
      entities,
      groups: new Set(denies ? config.deny : config.allow),
      denies,
      hidesHeader: config.hide_groups_header,
      prefersAuthenticatedGroups: config.always_use_authenticated_groups,
      decisions: new WeakMap(),
    }
  },

  access(exchange, state): void | Exit | Promise<void | Exit> {
    const { consumer, credential } = exchange
    // Groups that an authentication plugin found out stand in for those of nobody, and of the anonymous consumer.
    if (consumer === null || credential === null || state.prefersAuthenticatedGroups) {
      const groups = authenticatedGroups(exchange)
      if (groups !== null) return decideByNames(exchange, state, groups)
    }
    if (consumer === null) return refuse(exchange, credential !== null)
    const rows = state.entities.listBy('acls', 'consumer', consumer.id)
    return rows instanceof Promise ? decideLater(exchange, state, rows) : decideByRows(exchange, state, rows)
  },
})

async function decideLater(exchange: Exchange, state: State, rows: Promise<readonly Document[]>): Promise<void | Exit> {
  try {
    return decideByRows(exchange, state, await rows)
  } catch (error) {
    return storeFailure(exchange, error)
  }
}

function decideByRows(exchange: Exchange, state: State, rows: readonly Document[]): void | Exit {
  if (rows.length === 0 && !state.denies) return refuse(exchange, exchange.credential !== null)
  let header = state.decisions.get(rows)
  if (header === undefined) {
    const names = rows.map((row) => row['group'] as string)
    header = isLetIn(state, names) ? headerValue(names.join(', ')) : null
    state.decisions.set(rows, header)
  }
  if (header === null) return refuse(exchange, true)
  if (!state.hidesHeader) CONSUMER_GROUPS.set(exchange.request.headers, header)
}

function decideByNames(exchange: Exchange, state: State, names: readonly string[]): void | Exit {
  if (!isLetIn(state, names)) return refuse(exchange, true)
  if (!state.hidesHeader) AUTHENTICATED_GROUPS.set(exchange.request.headers, headerValue(names.join(', ')))
}

function isLetIn({ groups, denies }: State, names: readonly string[]): boolean {
  return names.some((name) => groups.has(name)) !== denies
}

/** Who is known gets 403: proving it again would not help. */
function refuse(exchange: Exchange, isKnown: boolean): Exit {
  return isKnown ? exchange.fail(403, 'You cannot consume this service') : exchange.fail(401, 'Unauthorized')
}

/** Groups that an authentication plugin left for others, as Kong's plugins do in `kong.ctx.shared.authenticated_groups`. */
function authenticatedGroups(exchange: Exchange): readonly string[] | null {
  const groups = exchange.shared.get('authenticated_groups')
  return Array.isArray(groups) ? (groups as readonly string[]) : null
}
