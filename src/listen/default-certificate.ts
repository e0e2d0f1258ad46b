/**
 * The certificate that TLS listeners show until one is configured: self-signed, made at the first start, kept in the prefix
 * folder so that it stays the same, and made anew before it expires.
 */
import { X509Certificate, createPrivateKey, randomUUID } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { isIP } from 'node:net'
import { GatewayError } from '#core/errors.ts'

export interface DefaultCertificate {
  /** PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  readonly expiresAtMs: number
  /** Whether it was made now. */
  readonly isNew: boolean
}

export interface DefaultCertificateOptions {
  /** Folder for the two files; made when it is missing. */
  readonly folder: string
  /** Unix time, ms. */
  readonly nowMs: number
  /** Names and addresses besides loopback for which it is made. */
  readonly names: readonly string[]
}

const CERT_FILE = 'default.crt'
const KEY_FILE = 'default.key'
const DAY_MS = 86_400_000
/** The longest that browsers still take (CA/Browser Forum: 398 days). */
const VALID_DAYS = 397
/** A gateway that is restarted once a month never shows an expired one. */
const RENEW_BEFORE_DAYS = 45
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '::1']

export async function openDefaultCertificate(options: DefaultCertificateOptions): Promise<DefaultCertificate> {
  const { folder, nowMs } = options
  try {
    const kept = await readKept(folder)
    if (kept !== null && kept.expiresAtMs - nowMs > RENEW_BEFORE_DAYS * DAY_MS) return kept
    const made = await createCertificate(options)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    // The key first: a certificate without its key would be of no use, and is recognised by not fitting.
    await replaceFile(path.join(folder, KEY_FILE), made.key, 0o600)
    await replaceFile(path.join(folder, CERT_FILE), made.cert, 0o644)
    return made
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause
    throw new GatewayError(
      'PREFIX_UNUSABLE',
      `${folder}: expected a folder for the default certificate that can be written`,
      { cause },
    )
  }
}

/** Null when there is none, or one that can't be used: then a new one replaces it. */
async function readKept(folder: string): Promise<DefaultCertificate | null> {
  const keyFile = path.join(folder, KEY_FILE)
  let cert: string
  let key: string
  try {
    cert = await readFile(path.join(folder, CERT_FILE), 'utf8')
    key = await readFile(keyFile, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const expiresAtMs = expiryOfPair(cert, key)
  if (expiresAtMs === null) return null
  // A copy or a restore may have opened it to everybody.
  await chmod(keyFile, 0o600)
  return { cert, key, expiresAtMs, isNew: false }
}

/** When the certificate ends; null when the two are no pair. */
function expiryOfPair(cert: string, key: string): number | null {
  try {
    const certificate = new X509Certificate(cert)
    return certificate.checkPrivateKey(createPrivateKey(key)) ? certificate.validToDate.getTime() : null
  } catch {
    // Torn by a crash or edited by hand; OpenSSL's message says nothing that helps.
    return null
  }
}

async function createCertificate({ nowMs, names }: DefaultCertificateOptions): Promise<DefaultCertificate> {
  // Loaded only when one is made: it takes longer than the rest of a start.
  const { generate } = await import('selfsigned')
  // A clock that runs a little behind must not refuse it.
  const notBeforeDate = new Date(nowMs - DAY_MS)
  const notAfterDate = new Date(nowMs + (VALID_DAYS - 1) * DAY_MS)
  const altNames = [...new Set([...LOOPBACK_NAMES, ...names])].map((name) =>
    isIP(name) === 0 ? ({ type: 2, value: name } as const) : ({ type: 7, ip: name } as const),
  )
  const made = await generate(
    [
      { name: 'commonName', value: 'localhost' },
      { name: 'organizationName', value: 'Meridian default certificate' },
    ],
    {
      keyType: 'ec',
      curve: 'P-256',
      algorithm: 'sha256',
      notBeforeDate,
      notAfterDate,
      extensions: [
        { name: 'basicConstraints', cA: false, critical: true },
        { name: 'keyUsage', digitalSignature: true, critical: true },
        { name: 'extKeyUsage', serverAuth: true },
        { name: 'subjectAltName', altNames: [...altNames] },
      ],
    },
  )
  return {
    cert: made.cert,
    key: made.private,
    expiresAtMs: new X509Certificate(made.cert).validToDate.getTime(),
    isNew: true,
  }
}

/** Whole or not at all, and never readable by others in between. */
async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  await writeFile(temporary, text, { mode, flag: 'wx' })
  await rename(temporary, file)
}
