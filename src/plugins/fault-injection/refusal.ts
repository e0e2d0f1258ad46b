import type { Config } from './schema.ts'

/** What the schema can't say: the field, and what is wrong with it. */
export function refusalOf({
  match,
  delay,
  abort,
}: Config): { readonly field: string; readonly message: string } | null {
  if (delay === null && abort === null) return { field: 'abort', message: 'expected one of abort and delay at least' }
  for (const [i, { header, cookie }] of match.entries())
    if ((header === null) === (cookie === null))
      return { field: `match.${i}`, message: 'expected one of header and cookie' }
  if (delay === null) return null
  const { distribution, time, deviation, min, max } = delay
  if (min > max) return { field: 'delay.min', message: `expected at most max, ${max}, got ${min}` }
  if (distribution !== 'uniform' && time === null)
    return { field: 'delay.time', message: `expected with distribution '${distribution}'` }
  if (distribution === 'uniform' && time !== null)
    return { field: 'delay.time', message: "expected min and max in its place with distribution 'uniform'" }
  if ((distribution === 'normal') !== (deviation !== null))
    return { field: 'delay.deviation', message: "expected with distribution 'normal', and only there" }
  if (distribution === 'fixed' && (time! < min || time! > max))
    return { field: 'delay.time', message: `expected a time between min, ${min}, and max, ${max}, got ${time}` }
  return null
}
