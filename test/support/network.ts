/**
 * Sites that are far apart, on one machine: a network namespace each, joined by a relay of frames that delays and can be cut
 * (`tc netem` is not in every kernel). The machine itself reaches every site at once, by a link of its own that is never cut.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { startChild, type Child } from './process.ts'

export interface NetworkOptions {
  readonly sites: readonly string[]
  /** Each way. */
  readonly delayMs: number
}

export interface Site {
  readonly name: string
  readonly namespace: string
  /** Put before a command it runs in the site. */
  readonly wrapper: readonly string[]
  /** An address of the machine, which processes in every site reach without delay. */
  readonly hostAddress: string
  /** Of the site on the link to the machine: for servers that only the machine asks. */
  readonly nearAddress: string
  /** Addresses that the other sites reach over the relay, from 0 on; the machine reaches them as well, without delay. */
  address(number: number): string
}

/** Why there can't be one here, for the note of a test that is skipped. */
export interface NotAllowed {
  readonly outcome: 'not_allowed'
  readonly reason: string
}
export type OpenedNetwork = NotAllowed | { readonly outcome: 'open'; readonly network: Network }

const ADDRESSES = 12
/** The sites' own addresses are one net, behind the relay; the links to the machine are outside of it. */
const SITES_NET = 18
/** Larger frames than Ethernet's, so that the relay has fewer to copy. */
const MTU = 9_000
const RUN_FOLDER = '/run/netns'
const PREFIX = 'mrd'
const READY_MS = 20_000

export class Network {
  readonly #sites: readonly Site[]
  readonly #relay: Child
  readonly #onExit: () => void

  constructor(sites: readonly Site[], relay: Child, onExit: () => void) {
    this.#sites = sites
    this.#relay = relay
    this.#onExit = onExit
  }

  site(name: string): Site {
    const site = this.#sites.find((one) => one.name === name)
    if (site === undefined) throw new Error(`no site is named ${name}`)
    return site
  }

  /** Nothing passes between sites any more, and nobody is told. */
  async cut(): Promise<void> {
    await this.#tell('SIGUSR1', 'cut')
  }

  async mend(): Promise<void> {
    await this.#tell('SIGUSR2', 'mended')
  }

  async #tell(signal: NodeJS.Signals, answer: string): Promise<void> {
    const said = this.#relay.output.length
    this.#relay.signal(signal)
    const isAnswered = async () => this.#relay.output.slice(said).includes(answer)
    await this.#relay.waitUntil(answer, isAnswered)
  }

  /** What runs in the sites has to be ended before. */
  async close(): Promise<void> {
    await this.#relay.stop('SIGKILL')
    process.off('exit', this.#onExit)
    this.#onExit()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

let opened = 0

/** Needs the right to make network namespaces; says `not_allowed` where that is refused. */
export async function openNetwork({ sites: names, delayMs }: NetworkOptions): Promise<OpenedNetwork> {
  const reason = refusal()
  if (reason !== null) return { outcome: 'not_allowed', reason }
  sweep()
  const block = `10.${freeBlock()}`
  const prefix = `${PREFIX}${process.pid}-${opened++}-`
  const sites = names.map((name, index) => createSite(name, `${prefix}${index}`, block, index))
  const remove = () => {
    for (const { namespace } of sites) removeNamespace(namespace)
  }
  process.once('exit', remove)
  let relay: Child | undefined
  try {
    for (const site of sites) openSite(site)
    relay = await startChild({
      command: 'python3',
      args: [
        path.join(import.meta.dirname, 'network-relay.py'),
        String(delayMs),
        ...sites.map(({ namespace }) => `${tapOf(namespace)}:${namespace}`),
      ],
      name: 'network relay',
    })
    await relay.waitForOutput(/^ready$/m, READY_MS)
    for (const site of sites) openTap(site)
    return { outcome: 'open', network: new Network(sites, relay, remove) }
  } catch (error) {
    await relay?.stop('SIGKILL')
    process.off('exit', remove)
    remove()
    throw error
  }
}

/** Null when everything that it takes is allowed here. */
function refusal(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are of Linux'
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun'
  const probe = `${PREFIX}${process.pid}-probe`
  try {
    ip('netns', 'add', probe)
    ip('-n', probe, 'link', 'set', 'lo', 'up')
    ip('-n', probe, 'tuntap', 'add', 'dev', 'probe', 'mode', 'tap')
    return null
  } catch (error) {
    return `network namespaces can't be made here: ${(error as Error).message.trim().split('\n').at(-1)}`
  } finally {
    removeNamespace(probe)
  }
}

function createSite(name: string, namespace: string, block: string, index: number): Site {
  return {
    name,
    namespace,
    wrapper: ['ip', 'netns', 'exec', namespace],
    hostAddress: `${block}.${100 + index}.1`,
    nearAddress: `${block}.${100 + index}.2`,
    address(number) {
      if (number >= ADDRESSES) throw new Error(`a site has ${ADDRESSES} addresses`)
      return `${block}.${index + 1}.${number + 1}`
    },
  }
}

// Names of devices have 15 characters at most.
const tapOf = (namespace: string) => `${namespace}t`
const linkOf = (namespace: string) => `${namespace}h`

function openSite({ namespace, hostAddress, nearAddress, address }: Site): void {
  const link = linkOf(namespace)
  ip('netns', 'add', namespace)
  ip('-n', namespace, 'link', 'set', 'lo', 'up')
  ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'near', 'netns', namespace)
  ip('addr', 'add', `${hostAddress}/24`, 'dev', link)
  ip('link', 'set', link, 'up')
  ip('-n', namespace, 'addr', 'add', `${nearAddress}/24`, 'dev', 'near')
  ip('-n', namespace, 'link', 'set', 'near', 'up')
  ip('-n', namespace, 'route', 'add', 'default', 'via', hostAddress)
  ip('route', 'add', address(0).replace(/\d+$/, '0/24'), 'via', nearAddress)
}

function openTap({ namespace, address }: Site): void {
  const tap = tapOf(namespace)
  for (let number = 0; number < ADDRESSES; number++)
    ip('-n', namespace, 'addr', 'add', `${address(number)}/${SITES_NET}`, 'dev', tap)
  ip('-n', namespace, 'link', 'set', tap, 'mtu', String(MTU), 'up')
}

/** The second number of a block that no route of this machine leads into. */
function freeBlock(): number {
  const routes = execFileSync('ip', ['route', 'show', 'table', 'all'], { encoding: 'utf8' })
  for (;;) {
    const block = 64 + Math.floor(Math.random() * 128)
    if (!routes.includes(`10.${block}.`)) return block
  }
}

/** Its devices and their peers, and the routes over those, go with it. */
function removeNamespace(namespace: string): void {
  try {
    // A process that was killed a moment ago may still hold the namespace, and its devices with it.
    if (existsSync(`/sys/class/net/${linkOf(namespace)}`)) ip('link', 'del', linkOf(namespace))
    if (existsSync(path.join(RUN_FOLDER, namespace))) ip('netns', 'del', namespace)
  } catch (error) {
    process.stderr.write(`network namespace ${namespace} could not be removed: ${(error as Error).message}\n`)
  }
}

/** Namespaces of processes that were killed before they could remove them. */
function sweep(): void {
  if (!existsSync(RUN_FOLDER)) return
  for (const name of readdirSync(RUN_FOLDER)) {
    const [, owner] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? []
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) removeNamespace(name)
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 20_000 })
}
