import type { Config } from './schema.ts'
import { STABLE } from './split-state.ts'

/** What the schema can't say: the field, and what is wrong with it. */
export function refusalOf(config: Config): { readonly field: string; readonly message: string } | null {
  const { targets, rules, sticky, sticky_header, abort } = config
  const names = targets.map(({ name }) => name)
  for (const [i, { name, service, upstream }] of targets.entries()) {
    if (name === STABLE)
      return { field: `targets.${i}.name`, message: `'${STABLE}' is the name of the route's own service` }
    if (names.indexOf(name) !== i)
      return { field: `targets.${i}.name`, message: `expected another name, got '${name}' again` }
    if ((service === null) === (upstream === null))
      return { field: `targets.${i}`, message: 'expected one of service and upstream' }
  }
  const sum = targets.reduce((all, { weight }) => all + weight, 0)
  // What is left over of adding decimals is no mistake.
  if (sum > 100 + 1e-9) return { field: 'targets', message: `expected weights of at most 100 together, got ${sum}` }
  for (const [i, { target, header, cookie, values, consumer_groups }] of rules.entries()) {
    if (target !== STABLE && !names.includes(target))
      return { field: `rules.${i}.target`, message: `expected the name of a target or '${STABLE}', got '${target}'` }
    if (header === null && cookie === null && consumer_groups === null)
      return { field: `rules.${i}`, message: 'expected header, cookie or consumer_groups' }
    if (values !== null && header === null && cookie === null)
      return { field: `rules.${i}.values`, message: 'expected header or cookie with it' }
    if (header !== null && cookie !== null && values !== null)
      return { field: `rules.${i}.values`, message: 'expected one of header and cookie with it' }
  }
  if ((sticky === 'header') !== (sticky_header !== null))
    return { field: 'sticky_header', message: "expected with sticky 'header', and only there" }
  if (abort !== null && abort.hold !== 0 && abort.hold < abort.window)
    return { field: 'abort.hold', message: `expected 0 or at least the window of ${abort.window} s, got ${abort.hold}` }
  return null
}
