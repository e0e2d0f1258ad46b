/**
 * Where the gateway's own keys for AWS come from, as AWS's libraries look for them: the configuration, the environment, a token of
 * Kubernetes, the agent of a container, the machine. The first that is set up is the one; a role may be taken on with its keys.
 */
import { readFile } from 'node:fs/promises'
import type { HttpAnswer, HttpAsker } from '#pdk/ask-http.ts'
import type { Environment } from '#pdk'
import type { Config } from './schema.ts'
import { signRequest } from './sigv4.ts'
import { KeyCache, type KeySource, type TimedKeys } from './key-cache.ts'

export interface SourceParts {
  readonly config: Config
  readonly region: string
  readonly environment: Environment
  readonly asker: HttpAsker
  readonly nowMs: () => number
}

/** AWS's fixed addresses: for containers, and of machines. */
const CONTAINER_AGENT = 'http://169.254.170.2'
const MACHINE = 'http://169.254.169.254'
const MACHINE_ROLES = '/latest/meta-data/iam/security-credentials/'
const MACHINE_TOKEN_SECONDS = '21600'

export function openKeys(parts: SourceParts): KeyCache {
  const own = new KeyCache(ownSource(parts), parts.nowMs)
  const { aws_assume_role_arn: role } = parts.config
  return role == null ? own : new KeyCache(() => assumeRole(parts, own, role), parts.nowMs)
}

function ownSource(parts: SourceParts): KeySource {
  const { config, environment } = parts
  const { aws_key: key, aws_secret: secret } = config
  if (key != null && secret != null) return fixed(key, secret, null)
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: known, AWS_SESSION_TOKEN: token } = environment
  if (id && known) return fixed(id, known, token || null)
  const { AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ROLE_ARN: role } = environment
  if (file && role) return () => assumeRoleByToken(parts, role, file)
  const container = containerUrl(environment)
  return container === null ? () => machineKeys(parts) : () => containerKeys(parts, container)
}

function fixed(accessKeyId: string, secretKey: string, sessionToken: string | null): KeySource {
  return async () => ({ accessKeyId, secretKey, sessionToken, expiresAtMs: Infinity })
}

function containerUrl(environment: SourceParts['environment']): URL | null {
  const { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: path, AWS_CONTAINER_CREDENTIALS_FULL_URI: full } = environment
  return path ? new URL(path, CONTAINER_AGENT) : full ? new URL(full) : null
}

async function containerKeys({ asker, environment }: SourceParts, url: URL): Promise<TimedKeys> {
  const { AWS_CONTAINER_AUTHORIZATION_TOKEN: token, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file } = environment
  const authorization = file ? (await readFile(file, 'utf8')).trim() : token
  return keysIn(await answered(asker, url, 'GET', authorization ? { authorization } : {}), url)
}

async function machineKeys({ asker, config, environment }: SourceParts): Promise<TimedKeys> {
  const base = environment['AWS_EC2_METADATA_SERVICE_ENDPOINT'] || MACHINE
  const headers: Record<string, string> = {}
  if (config.aws_imds_protocol_version === 'v2') {
    const asked = { 'x-aws-ec2-metadata-token-ttl-seconds': MACHINE_TOKEN_SECONDS }
    const { text } = await answered(asker, new URL('/latest/api/token', base), 'PUT', asked)
    headers['x-aws-ec2-metadata-token'] = text
  }
  const roles = new URL(MACHINE_ROLES, base)
  const [role = ''] = (await answered(asker, roles, 'GET', headers)).text.split('\n')
  const url = new URL(encodeURIComponent(role.trim()), roles)
  return keysIn(await answered(asker, url, 'GET', headers), url)
}

/** The form in which containers and machines tell their keys. */
function keysIn({ text }: HttpAnswer, url: URL): TimedKeys {
  let told: Record<string, unknown>
  try {
    told = JSON.parse(text) as Record<string, unknown>
  } catch (cause) {
    throw new Error(`${url.host} told no keys: expected JSON`, { cause })
  }
  return timedKeys(url, told['AccessKeyId'], told['SecretAccessKey'], told['Token'], told['Expiration'])
}

async function assumeRole(parts: SourceParts, own: KeyCache, role: string): Promise<TimedKeys> {
  const { region, asker, nowMs } = parts
  const body = roleForm('AssumeRole', role, parts.config.aws_role_session_name ?? 'kong', {})
  const url = stsUrl(parts)
  const headers = { 'content-type': FORM }
  const signed = signRequest(
    { method: 'POST', url, headers, body },
    { service: 'sts', region },
    await own.get(),
    nowMs(),
  )
  return roleKeys(url, await answered(asker, url, 'POST', signed, body))
}

/** For pods of Kubernetes: the token is what is believed, nothing is signed. It is renewed in the file. */
async function assumeRoleByToken(parts: SourceParts, role: string, file: string): Promise<TimedKeys> {
  const token = (await readFile(file, 'utf8')).trim()
  const name = parts.environment['AWS_ROLE_SESSION_NAME'] || 'meridian'
  const url = stsUrl(parts)
  const body = roleForm('AssumeRoleWithWebIdentity', role, name, { WebIdentityToken: token })
  return roleKeys(url, await answered(parts.asker, url, 'POST', { 'content-type': FORM }, body))
}

const FORM = 'application/x-www-form-urlencoded'

function stsUrl({ config, region }: SourceParts): URL {
  return new URL(config.aws_sts_endpoint_url ?? `https://sts.${region}.${domainOf(region)}`)
}

export function domainOf(region: string): string {
  return region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
}

function roleForm(action: string, role: string, name: string, more: Readonly<Record<string, string>>): string {
  const form = { Action: action, Version: '2011-06-15', RoleArn: role, RoleSessionName: name, ...more }
  return new URLSearchParams(form).toString()
}

/** STS answers in XML; what is looked for in it has no inner elements and needs no escapes. */
function roleKeys(url: URL, { text }: HttpAnswer): TimedKeys {
  const element = (name: string) => new RegExp(`<${name}>\\s*([^<]+?)\\s*</${name}>`).exec(text)?.[1]
  const [id, secret] = [element('AccessKeyId'), element('SecretAccessKey')]
  return timedKeys(url, id, secret, element('SessionToken'), element('Expiration'))
}

function timedKeys(url: URL, id: unknown, secret: unknown, token: unknown, expires: unknown): TimedKeys {
  const expiresAtMs = typeof expires === 'string' ? Date.parse(expires) : Infinity
  if (typeof id !== 'string' || typeof secret !== 'string' || id === '' || secret === '' || Number.isNaN(expiresAtMs))
    throw new Error(`${url.host} told no keys: expected AccessKeyId, SecretAccessKey and Expiration`)
  return { accessKeyId: id, secretKey: secret, sessionToken: typeof token === 'string' ? token : null, expiresAtMs }
}

async function answered(
  asker: HttpAsker,
  url: URL,
  method: string,
  headers: Readonly<Record<string, string>>,
  body: string | null = null,
): Promise<HttpAnswer> {
  const answer = await asker.ask(url, { method, headers, body })
  if ('problem' in answer) throw new Error(answer.problem)
  if (answer.status !== 200) throw new Error(`${url.host} answered ${answer.status} to the question for keys`)
  return answer
}
