/** Certificates that the settings name (`ssl_cert` with `ssl_cert_key`, and those of the other listeners), read and checked. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { GatewayError } from '#core/errors.ts'
import type { PemSource } from '#model/settings/composites.ts'

export interface CertificatePair {
  /** PEM, leaf first. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

/** Every problem at once, as one CERTIFICATE_INVALID. `setting` is the key of the certificates; that of the keys is `<setting>_key`. */
export async function loadCertificates(
  setting: string,
  certificates: readonly PemSource[],
  keys: readonly PemSource[],
): Promise<CertificatePair[]> {
  const pairs: CertificatePair[] = []
  const problems: string[] = []
  for (const [at, certificate] of certificates.entries()) {
    const key = keys[at]
    if (key === undefined) throw new RangeError(`${setting}: expected as many keys as certificates`)
    const names = [`${setting}[${at}]`, `${setting}_key[${at}]`] as const
    const pair = { cert: await readPem(names[0], certificate, problems), key: await readPem(names[1], key, problems) }
    if (pair.cert === null || pair.key === null) continue
    const problem = problemOf(names, pair.cert, pair.key)
    if (problem !== null) problems.push(problem)
    else pairs.push({ cert: pair.cert, key: pair.key })
  }
  if (problems.length > 0) throw new GatewayError('CERTIFICATE_INVALID', problems[0], { details: problems })
  return pairs
}

async function readPem(name: string, source: PemSource, problems: string[]): Promise<string | null> {
  if ('pem' in source) return source.pem
  try {
    return await readFile(source.path, 'utf8')
  } catch (error) {
    problems.push(
      `${name}: expected a file that can be read, got ${source.path} (${(error as NodeJS.ErrnoException).code})`,
    )
    return null
  }
}

function problemOf([certName, keyName]: readonly [string, string], cert: string, key: string): string | null {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(cert)
  } catch {
    // OpenSSL's message ("no start line") says less than what was expected.
    return `${certName}: expected a certificate in PEM`
  }
  try {
    if (certificate.checkPrivateKey(createPrivateKey(key))) return null
  } catch {
    return `${keyName}: expected a private key in PEM, without passphrase`
  }
  return `${keyName}: expected the key of ${certName} (${certificate.subject.replaceAll('\n', ', ')}), got another one`
}
