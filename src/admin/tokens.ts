/**
 * Who may use an Admin API that is bound beyond loopback. Tokens are long random texts, known here only by their SHA-256:
 * a slow hash protects guessable secrets, and these can't be guessed. Client certificates are named by their subject.
 *
 * The file (`admin_token_file`) has one JSON object a line: `{"name": "ci", "role": "editor", "sha256": "<hex>"}` for a token,
 * `{"name": "ops", "role": "admin", "subject": "ops.example"}` for a client certificate with this common name, with an
 * optional `"expires": "<RFC 3339>"`. Lines that are empty or start with # are skipped.
 */
import { createHash } from 'node:crypto'

/** What one may do: read (without secrets); change the configuration; also change the node itself. */
export const ROLES = ['viewer', 'editor', 'admin'] as const
export type Role = (typeof ROLES)[number]

export interface Principal {
  readonly name: string
  readonly role: Role
}

export interface AccessList {
  /** The principal of a token, or null when it is unknown or has expired. */
  byToken(token: string, nowMs: number): Principal | null
  /** The principal of a client certificate that was verified against `admin_client_ca`. */
  bySubject(commonName: string, nowMs: number): Principal | null
  /** Without tokens a token header on loopback is ignored, as Kong does. */
  readonly hasTokens: boolean
  readonly hasSubjects: boolean
}

export type ParsedAccessList =
  | { readonly ok: true; readonly list: AccessList }
  /** Every problem, with its line. */
  | { readonly ok: false; readonly errors: readonly string[] }

export function isAtLeast(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed)
}

/** A new token and the line for the file. `random` gives 32 bytes of the system's random source. */
export function createToken(
  name: string,
  role: Role,
  random: () => Buffer,
): { readonly token: string; readonly line: string } {
  const token = `mrd_${random().toString('base64url')}`
  return { token, line: JSON.stringify({ name, role, sha256: sha256(token) }) }
}

export function parseAccessList(text: string): ParsedAccessList {
  const tokens = new Map<string, Entry>()
  const subjects = new Map<string, Entry>()
  const errors: string[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue
    const entry = parseEntry(line)
    if (typeof entry === 'string') errors.push(`line ${i + 1}: ${entry}`)
    else if (entry.sha256 !== undefined) tokens.set(entry.sha256, entry)
    else subjects.set(entry.subject!, entry)
  }
  if (errors.length > 0) return { ok: false, errors }
  return {
    ok: true,
    list: {
      byToken: (token, nowMs) => live(tokens.get(sha256(token)), nowMs),
      bySubject: (commonName, nowMs) => live(subjects.get(commonName), nowMs),
      hasTokens: tokens.size > 0,
      hasSubjects: subjects.size > 0,
    },
  }
}

/** Nobody: for a loopback listener without a file. */
export const NO_ACCESS_LIST: AccessList = {
  byToken: () => null,
  bySubject: () => null,
  hasTokens: false,
  hasSubjects: false,
}

interface Entry extends Principal {
  readonly sha256?: string
  readonly subject?: string
  readonly expiresMs: number
}

const KEYS = new Set(['name', 'role', 'sha256', 'subject', 'expires'])

function parseEntry(line: string): Entry | string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return 'expected a JSON object' // the line itself is not repeated: it may hold a token put there by mistake
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'expected a JSON object'
  const { name, role, sha256: hash, subject, expires } = value as Record<string, unknown>
  const unknown = Object.keys(value).find((key) => !KEYS.has(key))
  if (unknown !== undefined) return `${unknown}: unknown field; expected ${[...KEYS].join(', ')}`
  if (typeof name !== 'string' || name === '') return 'name: expected a text that is not empty'
  if (!ROLES.includes(role as Role)) return `role: expected one of ${ROLES.join(', ')}`
  if ((hash === undefined) === (subject === undefined))
    return 'expected either sha256 (of a token) or subject (of a client certificate)'
  if (hash !== undefined && (typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)))
    return 'sha256: expected 64 lower-case hexadecimal digits'
  if (subject !== undefined && (typeof subject !== 'string' || subject === ''))
    return 'subject: expected the common name of a certificate'
  const expiresMs = expires === undefined ? Infinity : typeof expires === 'string' ? Date.parse(expires) : NaN
  if (Number.isNaN(expiresMs)) return 'expires: expected a time such as 2030-01-31T00:00:00Z'
  return {
    name,
    role: role as Role,
    expiresMs,
    ...(hash === undefined ? { subject: subject as string } : { sha256: hash }),
  }
}

function live(entry: Entry | undefined, nowMs: number): Principal | null {
  return entry === undefined || entry.expiresMs <= nowMs ? null : { name: entry.name, role: entry.role }
}

// Comparing by look-up of a hash tells nothing about the token through its timing.
function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
