/** A certificate authority made with OpenSSL: it issues, revokes, publishes its list, and answers OCSP. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestCertificate } from './certificates.ts'
import type { Program } from './debian-part.ts'
import { runChild, type Finished } from './process.ts'

export interface IssueOptions {
  /** Alternative names, as OpenSSL writes them: `DNS:a.example`, `email:me@a.example`. */
  readonly names?: readonly string[]
  /** Where its state can be asked for. */
  readonly ocspUrl?: string
  readonly crlUrl?: string
  /** For an authority below this one, which has the same key usages. */
  readonly isAuthority?: boolean
  readonly days?: number
  /** Lines of OpenSSL's in the place of the usual ones. */
  readonly extensions?: readonly string[]
}

export interface Responder {
  readonly url: string
  /** Questions so far. */
  readonly asked: () => number
  /** Answers that take the place of OpenSSL's; null for OpenSSL's. */
  override: ((status: Buffer) => { readonly status: number; readonly body: Buffer }) | null
  /** Awaited before each answer. */
  delay: (() => Promise<void>) | null
  readonly close: () => Promise<void>
}

const TIMEOUT_MS = 20_000

export class Authority {
  readonly folder: string
  readonly #openssl: Program
  #count = 0

  private constructor(openssl: Program, folder: string) {
    this.#openssl = openssl
    this.folder = folder
  }

  static async create(openssl: Program, name: string): Promise<Authority> {
    const authority = new Authority(openssl, mkdtempSync(path.join(tmpdir(), 'meridian-authority-')))
    authority.#prepare()
    const subject = ['-subj', `/CN=${name}`, '-days', '30', '-extensions', 'authority']
    await authority.#run(['req', '-x509', '-config', 'ca.conf', ...newKey('ca.key'), ...subject, '-out', 'ca.pem'])
    return authority
  }

  /** PEM. */
  get certificate(): string {
    return readFileSync(this.file('ca.pem'), 'utf8')
  }

  file(name: string): string {
    return path.join(this.folder, name)
  }

  async issue(commonName: string, options: IssueOptions = {}): Promise<TestCertificate> {
    const name = `issued-${++this.#count}`
    const request = [...newKey(`${name}.key`), '-subj', `/CN=${commonName}`, '-out', `${name}.csr`]
    await this.#run(['req', '-new', '-config', 'ca.conf', ...request])
    writeFileSync(this.file(`${name}.ext`), extensionsOf(options))
    const files = ['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', `${name}.ext`]
    await this.#run(['ca', '-batch', '-notext', '-config', 'ca.conf', '-days', String(options.days ?? 2), ...files])
    return { cert: readFileSync(this.file(`${name}.pem`), 'utf8'), key: readFileSync(this.file(`${name}.key`), 'utf8') }
  }

  /** An authority of its own, whose certificate this one issued. */
  async below(name: string, extensions?: readonly string[]): Promise<Authority> {
    const pair = await this.issue(name, { isAuthority: true, ...(extensions && { extensions }) })
    const authority = new Authority(this.#openssl, mkdtempSync(path.join(tmpdir(), 'meridian-authority-')))
    authority.#prepare()
    writeFileSync(authority.file('ca.pem'), pair.cert)
    writeFileSync(authority.file('ca.key'), pair.key)
    return authority
  }

  /** Whether OpenSSL takes a client's certificate for good, with what it sent besides; an independent judge. */
  async accepts(certificates: readonly string[]): Promise<boolean> {
    const [own = '', ...sent] = certificates
    writeFileSync(this.file('judged.pem'), own)
    writeFileSync(this.file('sent.pem'), sent.join('\n'))
    const untrusted = sent.length === 0 ? [] : ['-untrusted', 'sent.pem']
    const args = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'ca.pem', ...untrusted, 'judged.pem']
    return (await this.#exitCode(args)).code === 0
  }

  async revoke({ cert }: TestCertificate): Promise<void> {
    writeFileSync(this.file('revoked.pem'), cert)
    await this.#run(['ca', '-config', 'ca.conf', '-revoke', 'revoked.pem', '-crl_reason', 'keyCompromise'])
  }

  /** The list of what is revoked now, DER. */
  async revocationList(): Promise<Buffer> {
    await this.#run(['ca', '-config', 'ca.conf', '-gencrl', '-crlhours', '1', '-out', 'crl.pem'])
    await this.#run(['crl', '-in', 'crl.pem', '-outform', 'DER', '-out', 'crl.der'])
    return readFileSync(this.file('crl.der'))
  }

  /** Answers OCSP by `openssl ocsp` behind a server of loopback: OpenSSL's own would listen on all addresses. */
  async startResponder(): Promise<Responder> {
    let asked = 0
    const server = createServer((request, response) => {
      asked++
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => {
        const query = request.method === 'GET' ? fromPath(request.url ?? '') : Buffer.concat(parts)
        const held = responder.delay?.() ?? Promise.resolve()
        Promise.all([this.#answer(query, asked), held]).then(
          ([answer]) => {
            const { status, body } = responder.override?.(answer) ?? { status: 200, body: answer }
            response.writeHead(status, { 'content-type': 'application/ocsp-response' }).end(body)
          },
          (error: unknown) => response.writeHead(500).end(String(error)),
        )
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    const responder: Responder = {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      asked: () => asked,
      override: null,
      delay: null,
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        }),
    }
    return responder
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  #prepare(): void {
    mkdirSync(this.file('new'))
    writeFileSync(this.file('index.txt'), '')
    writeFileSync(this.file('index.txt.attr'), 'unique_subject = no\n')
    writeFileSync(this.file('serial'), '1000\n')
    writeFileSync(this.file('crlnumber'), '01\n')
    writeFileSync(this.file('ca.conf'), configurationIn(this.folder))
  }

  async #answer(query: Buffer, number: number): Promise<Buffer> {
    const [asked, answer] = [`query-${number}.der`, `answer-${number}.der`]
    writeFileSync(this.file(asked), query)
    const signer = ['-rsigner', 'ca.pem', '-rkey', 'ca.key', '-CA', 'ca.pem']
    await this.#run(['ocsp', '-index', 'index.txt', ...signer, '-nmin', '60', '-reqin', asked, '-respout', answer])
    return readFileSync(this.file(answer))
  }

  async #run(args: readonly string[]): Promise<void> {
    const { code, output } = await this.#exitCode(args)
    if (code !== 0) throw new Error(`openssl ${args.join(' ')} ended with exit code ${code}\n${output}`)
  }

  #exitCode(args: readonly string[]): Promise<Finished> {
    const { command, env } = this.#openssl
    return runChild({
      command,
      args,
      cwd: this.folder,
      env: { ...process.env, ...env },
      name: `openssl ${args[0]}`,
      timeoutMs: TIMEOUT_MS,
    })
  }
}

const newKey = (file: string) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', file]

/** RFC 6960 A.1: base64 of the request, percent-encoded, behind the path. */
function fromPath(target: string): Buffer {
  return Buffer.from(decodeURIComponent(target.slice(1)), 'base64')
}

function extensionsOf({ names = [], ocspUrl, crlUrl, isAuthority = false, extensions }: IssueOptions): string {
  if (extensions !== undefined) return [...extensions, ''].join('\n')
  return [
    isAuthority
      ? 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature'
      : 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth',
    'subjectKeyIdentifier=hash',
    'authorityKeyIdentifier=keyid',
    ...(names.length === 0 ? [] : [`subjectAltName=${names.join(',')}`]),
    ...(ocspUrl === undefined ? [] : [`authorityInfoAccess=OCSP;URI:${ocspUrl}`]),
    ...(crlUrl === undefined ? [] : [`crlDistributionPoints=URI:${crlUrl}`]),
    '',
  ].join('\n')
}

function configurationIn(folder: string): string {
  return `
[ ca ]
default_ca = own
[ own ]
dir = ${folder}
database = ${folder}/index.txt
new_certs_dir = ${folder}/new
serial = ${folder}/serial
crlnumber = ${folder}/crlnumber
certificate = ${folder}/ca.pem
private_key = ${folder}/ca.key
default_md = sha256
policy = any
[ any ]
commonName = supplied
[ req ]
distinguished_name = nobody
prompt = no
[ nobody ]
commonName = nobody
[ authority ]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign,digitalSignature
subjectKeyIdentifier = hash
`
}
