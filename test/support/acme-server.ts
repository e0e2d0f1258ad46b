/** A real ACME server (Let's Encrypt's Pebble), which finds every name on loopback. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { makeCertificate } from './certificates.ts'
import type { Program } from './debian-part.ts'
import { a, startDnsServer, type DnsServer } from './dns-server.ts'
import { freePorts } from './free-port.ts'
import { isListening, startChild, type Child } from './process.ts'

export interface AcmeServerOptions {
  /** Where it looks for challenges. */
  readonly httpPort: number
  readonly tlsPort: number
  /** Keys in base64url by id: who has none gets no account. */
  readonly external?: Readonly<Record<string, string>>
  /** Of the certificates that it gives out. */
  readonly validSeconds?: number
  /** Names that are nowhere. */
  readonly unknown?: readonly string[]
}

export class AcmeServer {
  readonly directory: string
  /** File with the certificate that it shows itself. */
  readonly trust: string
  readonly #child: Child
  readonly #names: DnsServer
  readonly #managementPort: number
  readonly #folder: string

  constructor(child: Child, names: DnsServer, port: number, managementPort: number, folder: string) {
    this.#child = child
    this.#names = names
    this.#managementPort = managementPort
    this.#folder = folder
    this.directory = `https://127.0.0.1:${port}/dir`
    this.trust = path.join(folder, 'cert.pem')
  }

  /** All that it said so far: what it was asked for, and what it thought of it. */
  get output(): string {
    return this.#child.output
  }

  /** PEM of the certificate that all chains end with. */
  async root(): Promise<string> {
    return await fetchText(`https://127.0.0.1:${this.#managementPort}/roots/0`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop()
    await this.#names[Symbol.asyncDispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export async function startAcmeServer(program: Program, options: AcmeServerOptions): Promise<AcmeServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-acme-'))
  const [port = 0, managementPort = 0] = await freePorts(2)
  const own = await makeCertificate(['127.0.0.1'])
  writeFileSync(path.join(folder, 'cert.pem'), own.cert)
  writeFileSync(path.join(folder, 'key.pem'), own.key)
  const configuration = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: path.join(folder, 'cert.pem'),
    privateKey: path.join(folder, 'key.pem'),
    httpPort: options.httpPort,
    tlsPort: options.tlsPort,
    externalAccountBindingRequired: options.external !== undefined,
    externalAccountMACKeys: options.external ?? {},
    retryAfter: { authz: 1, order: 1 },
    profiles: { default: { description: 'of the test', validityPeriod: options.validSeconds ?? 90 * 86_400 } },
  }
  writeFileSync(path.join(folder, 'pebble.json'), JSON.stringify({ pebble: configuration }))
  const names = await startDnsServer(({ name, type }) =>
    options.unknown?.includes(name) === true ? { rcode: 3 } : type === 'A' ? { answers: [a(name, '127.0.0.1')] } : {},
  )
  const child = await startChild({
    command: program.command,
    args: ['-config', path.join(folder, 'pebble.json'), '-dnsserver', names.address, '-strict'],
    // A tenth of all nonces is refused, as servers may.
    env: { ...process.env, ...program.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '10' },
    name: 'pebble',
  })
  const server = new AcmeServer(child, names, port, managementPort, folder)
  try {
    for (const one of [port, managementPort]) await child.waitUntil(`listening on ${one}`, () => isListening(one))
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
  return server
}

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: new Agent({ keepAlive: false, rejectUnauthorized: false }), timeout: 5000 }, (response) => {
      let text = ''
      response.on('data', (bytes) => (text += String(bytes)))
      response.on('end', () => resolve(text))
      response.on('error', reject)
    }).on('error', reject)
  })
}
