/** What is wrong with policies: browsers pass over what they don't understand, so a mistake would protect nobody and nobody would see it. */

/** Directives of Content Security Policy 3 and of the documents that add to it. */
const CSP_DIRECTIVES = new Set([
  'base-uri',
  'block-all-mixed-content',
  'child-src',
  'connect-src',
  'default-src',
  'fenced-frame-src',
  'font-src',
  'form-action',
  'frame-ancestors',
  'frame-src',
  'img-src',
  'manifest-src',
  'media-src',
  'object-src',
  'report-to',
  'report-uri',
  'require-trusted-types-for',
  'sandbox',
  'script-src',
  'script-src-attr',
  'script-src-elem',
  'style-src',
  'style-src-attr',
  'style-src-elem',
  'trusted-types',
  'upgrade-insecure-requests',
  'webrtc',
  'worker-src',
])
/** Words that only count in quotes; without them they are names of hosts. */
const QUOTED =
  /^(?:none|self|unsafe-inline|unsafe-eval|unsafe-hashes|strict-dynamic|report-sample|wasm-unsafe-eval|nonce-.+|sha(?:256|384|512)-.+)$/i

export function wrongContentPolicy(policy: string): string | null {
  const seen = new Set<string>()
  for (const text of policy.split(';')) {
    const [name = '', ...values] = text.trim().split(/\s+/)
    if (name === '') continue
    const directive = name.toLowerCase()
    if (!CSP_DIRECTIVES.has(directive)) return `'${name}' is no directive`
    if (seen.has(directive)) return `'${directive}' is there twice, of which browsers take the first`
    seen.add(directive)
    if (text.includes(',')) return `'${directive}' has a comma, behind which browsers read another policy`
    const unquoted = values.find((value) => QUOTED.test(value))
    if (unquoted !== undefined) return `'${directive}' has ${unquoted} without quotes, which names a host`
  }
  return seen.size === 0 ? 'expected a directive' : null
}

const REFERRER_POLICIES = new Set([
  'no-referrer',
  'no-referrer-when-downgrade',
  'origin',
  'origin-when-cross-origin',
  'same-origin',
  'strict-origin',
  'strict-origin-when-cross-origin',
  'unsafe-url',
])

/** Several are for browsers that don't know the last. */
export function wrongReferrerPolicy(policy: string): string | null {
  const wrong = policy.split(',').find((part) => !REFERRER_POLICIES.has(part.trim().toLowerCase()))
  return wrong === undefined ? null : `'${wrong.trim()}' is none of ${[...REFERRER_POLICIES].join(', ')}`
}

const MEMBER = /^[a-z][a-z0-9-]*=(?:\*|self|\((?:\s*(?:\*|self|src|"https?:\/\/[^"\\\s]+")(?=[\s)]))*\s*\))$/

/** A dictionary of features, each with its list of origins (RFC 9651 3.2). */
export function wrongPermissionsPolicy(policy: string): string | null {
  const seen = new Set<string>()
  for (const part of policy.split(',')) {
    const member = part.trim()
    if (!MEMBER.test(member)) return `expected feature=(origins), got ${member}`
    const feature = member.slice(0, member.indexOf('='))
    if (seen.has(feature)) return `'${feature}' is there twice`
    seen.add(feature)
  }
  return null
}

/** What the lists of browsers ask of hosts in them (hstspreload.org). */
export function wrongPreload(policy: {
  max_age: number
  include_subdomains: boolean
  preload: boolean
}): string | null {
  if (!policy.preload || (policy.include_subdomains && policy.max_age >= 31_536_000)) return null
  return 'preload needs include_subdomains, and a max_age of at least 31536000'
}
