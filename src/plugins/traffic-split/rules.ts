/** Requests that go to a side whatever the weights: by header, cookie, or group of their consumer. */
import { FieldName, type ConsumerGroup, type Exchange } from '#pdk'
import { cookieValues } from '#pdk/cookies.ts'
import type { Config } from './schema.ts'
import { STABLE } from './split-state.ts'

interface Rule {
  /** Number of the target, -1 for the route's own service. */
  readonly target: number
  readonly header: FieldName | null
  readonly cookie: string | null
  /** Null: any value will do. */
  readonly values: ReadonlySet<string> | null
  readonly groups: ReadonlySet<string> | null
}

/** No rule applies. */
export const NO_RULE = -2

export class Rules {
  readonly needsGroups: boolean
  readonly #rules: readonly Rule[]

  constructor({ rules, targets }: Config) {
    this.#rules = rules.map(({ target, header, cookie, values, consumer_groups }) => ({
      target: target === STABLE ? -1 : targets.findIndex(({ name }) => name === target),
      header: header === null ? null : new FieldName(header),
      cookie,
      values: values === null ? null : new Set(values),
      groups: consumer_groups === null ? null : new Set(consumer_groups),
    }))
    this.needsGroups = this.#rules.some(({ groups }) => groups !== null)
  }

  /** The target of the first that applies. */
  targetFor(exchange: Exchange, groups: readonly ConsumerGroup[]): number {
    for (const rule of this.#rules) if (applies(rule, exchange, groups)) return rule.target
    return NO_RULE
  }
}

/** All that a rule names has to be so. */
function applies(
  { header, cookie, values, groups }: Rule,
  { request }: Exchange,
  of: readonly ConsumerGroup[],
): boolean {
  const isOne = (found: readonly string[]) => found.some((value) => values === null || values.has(value))
  if (header !== null && !isOne(header.getAll(request.headers))) return false
  if (cookie !== null && !isOne(cookieValues(request.headers, cookie))) return false
  return groups === null || of.some(({ id, name }) => groups.has(id) || groups.has(name))
}
