/** Asks the Admin API of the node for a command. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { GatewayError } from '#core/errors.ts'
import { textOption, type CliContext, type OptionValues } from './command.ts'
import { urlOf } from './listener-url.ts'
import { loadSettings } from './load-settings.ts'

const TIMEOUT_MS = 30_000

type Method = 'GET' | 'POST' | 'DELETE'

export interface AdminClient {
  /** For messages. */
  readonly url: string
  /** The answer's JSON. Throws ADMIN_UNREACHABLE when there is none, ADMIN_REFUSED for a status from 400 up. */
  ask(method: Method, path: string, body?: unknown): Promise<unknown>
  /** The same where a status of this list is an answer too. */
  askFor(statuses: readonly number[], path: string): Promise<{ readonly status: number; readonly answer: unknown }>
  close(): Promise<void>
}

export async function openAdminClient(context: CliContext, options: OptionValues): Promise<AdminClient> {
  const typed = textOption(options, 'admin') ?? context.environment['MERIDIAN_ADMIN_URL']
  const place = typed === undefined ? placeFromSettings(context, options) : placeFromUrl(typed)
  return await openClient(context, place)
}

interface Place {
  readonly url: string
  readonly socketPath: string | null
  /** PEM of what to trust besides the system's authorities. */
  readonly ca: string | null
}

async function openClient(context: CliContext, { url, socketPath, ca }: Place): Promise<AdminClient> {
  // Loaded here, so that `start` does not wait for it.
  const { Agent, request } = await import('undici')
  const agent = new Agent({
    connect: { timeout: TIMEOUT_MS, ...(socketPath !== null && { socketPath }), ...(ca !== null && { ca }) },
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  })
  const token = context.environment['MERIDIAN_ADMIN_TOKEN']
  const send = async (statuses: readonly number[], method: Method, target: string, body?: unknown) => {
    let status: number
    let text: string
    try {
      const response = await request(url + target, {
        method,
        dispatcher: agent,
        headers: {
          accept: 'application/json',
          ...(token !== undefined && { 'kong-admin-token': token }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      status = response.statusCode
      text = await response.body.text()
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      throw new GatewayError('ADMIN_UNREACHABLE', `the Admin API at ${url} does not answer (${code ?? message})`, {
        cause,
      })
    }
    const answer = parseJson(text)
    if (status < 400 || statuses.includes(status)) return { status, answer }
    throw new GatewayError(
      'ADMIN_REFUSED',
      `the Admin API answered ${status}: ${messageOf(answer) ?? text.slice(0, 500)}`,
    )
  }
  return {
    url,
    ask: async (method, target, body) => (await send([], method, target, body)).answer,
    askFor: (statuses, target) => send(statuses, 'GET', target),
    close: () => agent.close(),
  }
}

function placeFromUrl(text: string): Place {
  if (text.startsWith('unix:')) return { url: 'http://localhost', socketPath: text.slice('unix:'.length), ca: null }
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new GatewayError(
      'USAGE',
      `expected http://HOST:PORT, https://HOST:PORT or unix:/path for the Admin API, got '${text}'`,
    )
  }
  return { url: url.href.replace(/\/$/, ''), socketPath: null, ca: null }
}

function placeFromSettings(context: CliContext, options: OptionValues): Place {
  const { settings } = loadSettings(context, options)
  const listener = settings.admin_listen.find(({ ssl }) => !ssl) ?? settings.admin_listen[0]
  if (listener === undefined)
    throw new GatewayError('ADMIN_UNREACHABLE', 'admin_listen is off; name another node with --admin')
  if (listener.socketPath !== null) return { url: 'http://localhost', socketPath: listener.socketPath, ca: null }
  const isSelfMade = settings.admin_ssl_cert.length === 0 && settings.ssl_cert.length === 0
  return {
    url: urlOf(listener),
    socketPath: null,
    ca: listener.ssl && isSelfMade ? ownCertificate(settings.prefix) : null,
  }
}

function ownCertificate(prefix: string): string | null {
  try {
    return readFileSync(path.join(prefix, 'certificates', 'default.crt'), 'utf8')
  } catch {
    // Not made yet, or not ours to read: then the connection says that it is not trusted.
    return null
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Something else than the Admin API may answer there; the caller shows what it said.
    return null
  }
}

function messageOf(answer: unknown): string | null {
  if (typeof answer !== 'object' || answer === null || !('message' in answer)) return null
  return String(answer.message)
}
