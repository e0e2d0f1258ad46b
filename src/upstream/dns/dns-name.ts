/** Names as DNS has them: which can be asked for, and which fully qualified ones a short one may mean. */

/** RFC 1035 2.3.4, without the final dot. */
const MAX_NAME_LENGTH = 253
/** RFC 1035 2.3.4 for the length; underscores because SRV names have them (RFC 2782) and others do in practice. */
const LABEL = /^[a-z0-9_-]{1,63}$/i

/** Whether a question for this name can be put into a message. One final dot is allowed. */
export function isDnsName(name: string): boolean {
  const bare = withoutFinalDot(name)
  if (bare.length === 0 || bare.length > MAX_NAME_LENGTH) return false
  for (const label of bare.split('.')) if (!LABEL.test(label)) return false
  return true
}

/** The form in which names are compared: lower case (RFC 4343), no final dot. */
export function comparableName(name: string): string {
  return withoutFinalDot(name).toLowerCase()
}

/**
 * The fully qualified names to ask for, in order: a name with fewer dots than `ndots` is first tried below each search
 * domain, another one first as it stands; a final dot says that it is complete (resolv.conf(5)).
 */
export function expandName(name: string, search: readonly string[], ndots: number): string[] {
  if (name.endsWith('.')) return [withoutFinalDot(name)]
  const below = search.map((domain) => `${name}.${domain}`).filter(isDnsName)
  return countDots(name) < ndots ? [...below, name] : [name, ...below]
}

function withoutFinalDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}

function countDots(name: string): number {
  let count = 0
  for (let at = name.indexOf('.'); at >= 0; at = name.indexOf('.', at + 1)) count++
  return count
}
