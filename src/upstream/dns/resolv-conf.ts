/** The part of resolv.conf(5) that a gateway needs. */
import { isDnsName } from './dns-name.ts'
import { parseNameServer, type NameServer } from './name-server.ts'

export interface ResolvConf {
  /** At least one. */
  readonly nameServers: readonly NameServer[]
  readonly search: readonly string[]
  readonly ndots: number
  readonly timeoutMs: number
  /** How often a question is sent in all before it fails. */
  readonly attempts: number
  /** Whether questions are spread over the name servers instead of going to the first that answers. */
  readonly rotate: boolean
}

/** What Kong's resolver uses where the file says nothing; the name server is glibc's. */
const DEFAULTS = { ndots: 1, timeoutMs: 2000, attempts: 5, nameServer: { ip: '127.0.0.1', port: 53 } } as const
/** glibc's own caps: a typing error must not make every request wait for minutes. */
const MAX = { ndots: 15, timeoutSeconds: 30, attempts: 5, search: 32 } as const

/** Reads the file's text. Lines that mean nothing here are passed over, as every resolver does. */
export function parseResolvConf(text: string): ResolvConf {
  const nameServers: NameServer[] = []
  let search: string[] = []
  let ndots: number = DEFAULTS.ndots
  let timeoutMs: number = DEFAULTS.timeoutMs
  let attempts: number = DEFAULTS.attempts
  let rotate = false

  for (const line of text.split('\n')) {
    // Comments start a line; after a value they are part of it in glibc, but no valid value contains them.
    const words = line
      .replace(/[#;].*$/, '')
      .split(/\s+/)
      .filter((word) => word !== '')
    const keyword = words.shift()
    if (keyword === 'nameserver') {
      const server = parseNameServer(words[0] ?? '')
      if (server !== null) nameServers.push(server)
    } else if (keyword === 'search' || keyword === 'domain') {
      // The last of the two lines wins. '.' (the root) as a domain says that names are complete already.
      search = words
        .slice(0, keyword === 'domain' ? 1 : MAX.search)
        .map((domain) => domain.replace(/\.$/, '').toLowerCase())
        .filter(isDnsName)
    } else if (keyword === 'options') {
      for (const option of words) {
        ndots = numberOption(option, 'ndots', 0, MAX.ndots) ?? ndots
        attempts = numberOption(option, 'attempts', 1, MAX.attempts) ?? attempts
        const seconds = numberOption(option, 'timeout', 1, MAX.timeoutSeconds)
        if (seconds !== null) timeoutMs = seconds * 1000
        if (option === 'rotate') rotate = true
      }
    }
  }
  if (nameServers.length === 0) nameServers.push(DEFAULTS.nameServer)
  return { nameServers, search, ndots, timeoutMs, attempts, rotate }
}

function numberOption(option: string, name: string, min: number, max: number): number | null {
  const value = new RegExp(`^${name}:(\\d{1,9})$`).exec(option)?.[1]
  return value === undefined ? null : Math.min(max, Math.max(min, Number(value)))
}
