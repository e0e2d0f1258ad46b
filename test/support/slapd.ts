/** A real LDAP server (OpenLDAP) with a folder, ports and entries of its own. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Client } from 'ldapts'
import type { TestCertificate } from './certificates.ts'
import type { Program } from './debian-part.ts'
import { freePorts } from './free-port.ts'
import { isListening, startChild, type Child } from './process.ts'

export const BASE_DN = 'ou=people,dc=test'

export interface SlapdOptions {
  readonly certificate: TestCertificate
  /** Passwords by name; they become entries `uid=NAME,ou=people,dc=test`. */
  readonly people: Readonly<Record<string, string>>
  /** Refuses passwords that come without TLS. */
  readonly requiresTls?: boolean
}

export class Slapd {
  readonly port: number
  readonly tlsPort: number
  readonly child: Child
  readonly #folder: string

  constructor(child: Child, port: number, tlsPort: number, folder: string) {
    this.child = child
    this.port = port
    this.tlsPort = tlsPort
    this.#folder = folder
  }

  /** Adds somebody, or gives a new password. */
  async setPassword(name: string, password: string): Promise<void> {
    await asManager(this.tlsPort, async (client) => {
      await client.del(`uid=${escaped(name)},${BASE_DN}`).catch(() => undefined)
      await addPerson(client, name, password)
    })
  }

  async stop(): Promise<void> {
    await this.child.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

export async function startSlapd(program: Program, options: SlapdOptions): Promise<Slapd> {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-slapd-'))
  const [port = 0, tlsPort = 0] = await freePorts(2)
  const configuration = path.join(folder, 'slapd.conf')
  writeFileSync(path.join(folder, 'cert.pem'), options.certificate.cert)
  writeFileSync(path.join(folder, 'key.pem'), options.certificate.key)
  mkdirSync(path.join(folder, 'data'))
  writeFileSync(configuration, configurationText(program, folder, options.requiresTls === true))
  const child = await startChild({
    command: program.command,
    args: ['-h', `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`, '-f', configuration, '-d', '0'],
    env: { ...process.env, ...program.env },
    name: 'slapd',
  })
  const slapd = new Slapd(child, port, tlsPort, folder)
  try {
    for (const one of [port, tlsPort]) await child.waitUntil(`listening on ${one}`, () => isListening(one))
    await asManager(tlsPort, async (client) => {
      await client.add('dc=test', { objectClass: ['dcObject', 'organization'], dc: 'test', o: 'Test' })
      await client.add(BASE_DN, { objectClass: ['organizationalUnit'], ou: 'people' })
      for (const [name, password] of Object.entries(options.people)) await addPerson(client, name, password)
    })
  } catch (error) {
    await slapd.stop()
    throw error
  }
  return slapd
}

const MANAGER = { dn: 'cn=manager,dc=test', password: 'manager' }

async function asManager(tlsPort: number, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({
    url: `ldaps://127.0.0.1:${tlsPort}`,
    tlsOptions: { rejectUnauthorized: false },
    timeout: 10_000,
  })
  await client.bind(MANAGER.dn, MANAGER.password)
  try {
    await work(client)
  } finally {
    await client.unbind()
  }
}

async function addPerson(client: Client, name: string, userPassword: string): Promise<void> {
  await client.add(`uid=${escaped(name)},${BASE_DN}`, {
    objectClass: ['account', 'simpleSecurityObject'],
    uid: name,
    userPassword,
  })
}

/** Every byte of what is not a letter in hex, another way than the plugin's. */
function escaped(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9]/gu, (character) =>
    Buffer.from(character).toString('hex').replaceAll(/../g, '\\$&'),
  )
}

function configurationText({ command }: Program, folder: string, requiresTls: boolean): string {
  const unpacked = path.resolve(path.dirname(command), '..', '..')
  const root = existsSync(path.join(unpacked, 'etc', 'ldap', 'schema')) ? unpacked : '/'
  const schemas = ['core', 'cosine', 'inetorgperson']
  return `${schemas.map((name) => `include ${path.join(root, 'etc/ldap/schema', `${name}.schema`)}`).join('\n')}
modulepath ${path.join(root, 'usr/lib/ldap')}
moduleload back_mdb
TLSCertificateFile ${folder}/cert.pem
TLSCertificateKeyFile ${folder}/key.pem
${requiresTls ? 'security simple_bind=112' : ''}
database mdb
suffix dc=test
rootdn ${MANAGER.dn}
rootpw ${MANAGER.password}
directory ${folder}/data
maxsize 10485760
`
}
