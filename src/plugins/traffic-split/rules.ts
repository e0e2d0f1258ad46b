/** Requests that go to a side whatever the weights: by header, cookie, or group of their consumer. */
import type { ConsumerGroup, Exchange } from '#pdk'
import { FieldMatch } from '#pdk/field-match.ts'
import type { Config } from './schema.ts'
import { STABLE } from './split-state.ts'

interface Rule {
  /** Number of the target, -1 for the route's own service. */
  readonly target: number
  readonly fields: readonly FieldMatch[]
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
      fields: [
        ...(header === null ? [] : [FieldMatch.header(header, values)]),
        ...(cookie === null ? [] : [FieldMatch.cookie(cookie, values)]),
      ],
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
function applies({ fields, groups }: Rule, { request }: Exchange, of: readonly ConsumerGroup[]): boolean {
  for (const field of fields) if (!field.isIn(request.headers)) return false
  return groups === null || of.some(({ id, name }) => groups.has(id) || groups.has(name))
}
