/**
 * The vault `hcv`: HashiCorp Vault and what speaks its HTTP API (OpenBao), with the configuration of Kong's vault of that name.
 * Reads the key-value engine, version 1 or 2. A resource is a JSON object; its members are what references take.
 * API: https://developer.hashicorp.com/vault/api-docs/secret/kv
 */
import { readFile } from 'node:fs/promises'
import type { Followed } from '#model/vault-reference.ts'
import type { Vault, VaultConfig } from './vault.ts'

const ANSWER_BYTES_MAX = 1024 * 1024
/** Where Kubernetes puts the token of the pod's service account. */
const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token'
/** Logins that are remembered; a configuration has few vaults. */
const LOGINS_MAX = 100
const FOREVER_S = 0

interface Login {
  readonly token: string
  /** Unix ms after which another one is made. */
  readonly renewAtMs: number
}

export interface HttpVaultOptions {
  readonly nowMs: () => number
  /** Follows a reference in the vault's own token; only the environment can be meant. */
  readonly follow: (text: string) => Followed
}

/** Fails with reasons that name the status, never an answer's body: it may have secrets. */
export function createHttpVault({ nowMs, follow }: HttpVaultOptions): Vault {
  const logins = new Map<string, Login>()

  async function tokenFor(config: VaultConfig, signal: AbortSignal): Promise<Followed> {
    const method = config['auth_method']
    if (method === 'token' || method === undefined || method === null) {
      const token = follow(textOf(config, 'token', ''))
      return 'value' in token && token.value === '' ? { reason: 'token: required with auth_method token' } : token
    }
    const key = JSON.stringify(config)
    const known = logins.get(key)
    if (known !== undefined && known.renewAtMs > nowMs()) return { value: known.token }
    const made = await logIn(config, signal)
    if ('reason' in made) return made
    if (logins.size >= LOGINS_MAX) logins.clear()
    logins.set(key, made)
    return { value: made.token }
  }

  async function logIn(config: VaultConfig, signal: AbortSignal): Promise<Login | { readonly reason: string }> {
    const credentials = await credentialsOf(config, follow)
    if ('reason' in credentials) return credentials
    const answer = await ask(config, `auth/${credentials.path}/login`, null, signal, credentials.body)
    if ('reason' in answer) return { reason: `logging in: ${answer.reason}` }
    const auth = recordOf(answer.json['auth'])
    const token = auth?.['client_token']
    if (typeof token !== 'string') return { reason: 'logging in: expected auth.client_token in the answer' }
    const seconds = Number(auth?.['lease_duration'] ?? FOREVER_S)
    // With a third of its time left, so that a slow login does not end with a dead token.
    const renewAtMs = seconds > 0 ? nowMs() + (seconds * 1000 * 2) / 3 : Infinity
    return { token, renewAtMs }
  }

  return {
    async fetch(config, resource, version, signal) {
      const token = await tokenFor(config, signal)
      if ('reason' in token) return token
      const mount = textOf(config, 'mount', 'secret')
      const isV2 = config['kv'] === 'v2'
      if (!isV2 && version !== null) return { reason: 'kv v1 has no versions' }
      const query = version === null ? '' : `?version=${version}`
      const path = `${mount}/${isV2 ? 'data/' : ''}${resource}`
      const answer = await ask(config, encodedPath(path) + query, token.value, signal, null)
      if ('reason' in answer) {
        // A token that was revoked before its time: the next read logs in again.
        if (answer.status === 403) logins.delete(JSON.stringify(config))
        return answer
      }
      const data = recordOf(answer.json['data'])
      const members = isV2 ? recordOf(data?.['data']) : data
      return members === null ? { reason: 'expected an object in the answer' } : { value: JSON.stringify(members) }
    },
  }
}

type Credentials = { readonly path: string; readonly body: object } | { readonly reason: string }

async function credentialsOf(config: VaultConfig, follow: (text: string) => Followed): Promise<Credentials> {
  if (config['auth_method'] === 'approle') {
    const secret = follow(textOf(config, 'approle_secret_id', ''))
    if ('reason' in secret) return secret
    const body = { role_id: textOf(config, 'approle_role_id', ''), secret_id: secret.value }
    return { path: textOf(config, 'approle_auth_path', 'approle'), body }
  }
  const file = textOf(config, 'kube_api_token_file', SERVICE_ACCOUNT_TOKEN)
  try {
    const jwt = (await readFile(file, 'utf8')).trim()
    return {
      path: textOf(config, 'kube_auth_path', 'kubernetes'),
      body: { role: textOf(config, 'kube_role', 'default'), jwt },
    }
  } catch (error) {
    return { reason: `kube_api_token_file ${file}: ${(error as NodeJS.ErrnoException).code ?? 'can not be read'}` }
  }
}

type Answer =
  | { readonly json: Readonly<Record<string, unknown>> }
  | { readonly reason: string; readonly status: number | null }

async function ask(
  config: VaultConfig,
  path: string,
  token: string | null,
  signal: AbortSignal,
  body: object | null,
): Promise<Answer> {
  const origin = `${textOf(config, 'protocol', 'http')}://${hostOf(config)}:${Number(config['port'] ?? 8200)}`
  const namespace = textOf(config, 'namespace', '')
  let status: number | null = null
  try {
    // Loaded where there is such a vault: it takes longer than a start has.
    const { request } = await import('undici')
    const response = await request(`${origin}/v1/${path}`, {
      method: body === null ? 'GET' : 'POST',
      headers: {
        'x-vault-request': 'true',
        ...(token === null ? {} : { 'x-vault-token': token }),
        ...(namespace === '' ? {} : { 'x-vault-namespace': namespace }),
        ...(body === null ? {} : { 'content-type': 'application/json' }),
      },
      body: body === null ? null : JSON.stringify(body),
      signal,
    })
    status = response.statusCode
    if (status !== 200) {
      await response.body.dump({ limit: ANSWER_BYTES_MAX })
      return { reason: `the vault answered ${status}`, status }
    }
    const json = recordOf(JSON.parse(await boundedText(response.body)))
    return json === null ? { reason: 'expected a JSON object from the vault', status } : { json }
  } catch (error) {
    // A parser's message would show a part of the answer.
    const isParsing = error instanceof SyntaxError
    return {
      reason: isParsing ? 'expected JSON from the vault' : `the vault can not be asked: ${causeOf(error)}`,
      status,
    }
  }
}

async function boundedText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of body) {
    size += part.length
    if (size > ANSWER_BYTES_MAX) throw new Error(`its answer has over ${ANSWER_BYTES_MAX} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function causeOf(error: unknown): string {
  const { code, name, message } = error as { code?: unknown; name: string; message: string }
  if (name === 'TimeoutError') return 'no answer in time'
  return typeof code === 'string' ? code : message
}

function hostOf(config: VaultConfig): string {
  const host = textOf(config, 'host', '127.0.0.1')
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

function encodedPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

function textOf(config: VaultConfig, name: string, missing: string): string {
  const value = config[name]
  return typeof value === 'string' && value !== '' ? value : missing
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null
}
