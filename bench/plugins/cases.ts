/** One route for each plugin: what it is configured with, and what a request has to show. */
import { createHmac } from 'node:crypto'
import type { LoadRequest } from '../support/wrk.ts'

export interface PluginCase {
  readonly name: string
  readonly config?: object
  /** More of the request than a plain GET. */
  readonly request?: Partial<LoadRequest>
  /** The plugin that has to run before it, whose cost is taken off as well. */
  readonly after?: string
  /** Its answer, when it answers itself. */
  readonly answer?: string
  /** How many are asked in a round, where the clock of processor time is too coarse for the usual number. */
  readonly requests?: number
  /** Part of the work is done after the answer: it is waited for. */
  readonly isDeferred?: boolean
  /** What is measured, where that does not follow from the name. */
  readonly note?: string
}

/** Where things listen that plugins talk to. */
export interface Places {
  /** Answers 200 to everything. */
  readonly backendPort: number
  /** Answers what an Open Policy Agent, an introspection endpoint and a language model would. */
  readonly servicePort: number
  /** Takes lines over TCP and reads over them. */
  readonly linesPort: number
  readonly folder: string
}

const USER = 'somebody'
/** To everybody who asks: each reads its own part of it. */
export const SERVICE_ANSWER = JSON.stringify({
  result: true,
  active: true,
  username: USER,
  choices: [{ index: 0, message: { role: 'assistant', content: 'It stands before services.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 14, completion_tokens: 5, total_tokens: 19 },
})
const MANY = 60_000
const PASSWORD = 'a password of some length'
export const KEY = 'a-key-of-usual-length-0123456789'
const SECRET = 'a-secret-of-usual-length-0123456789abcdef'
const BASIC = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`
const DATE = 'Sat, 28 Nov 2026 12:00:00 GMT'
/** Clocks of the example and of the machine differ by what they like. */
const ANY_SKEW = 1_000_000_000

const base64url = (value: string | Buffer) => Buffer.from(value).toString('base64url')

function token(): string {
  const signed = `${base64url('{"alg":"HS256","typ":"JWT"}')}.${base64url(`{"iss":"${KEY}"}`)}`
  return `${signed}.${base64url(createHmac('sha256', SECRET).update(signed).digest())}`
}

function hmac(): string {
  const signature = createHmac('sha256', SECRET).update(`date: ${DATE}`).digest('base64')
  return `hmac username="${USER}", algorithm="hmac-sha256", headers="date", signature="${signature}"`
}

const json = (body: object): Partial<LoadRequest> => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
})

function webhook(): Partial<LoadRequest> {
  const body = '{"type":"order.paid","data":{"id":7}}'
  const [id, time] = ['msg_1', String(Math.floor(Date.parse(DATE) / 1000))]
  const signature = createHmac('sha256', SECRET).update(`${id}.${time}.${body}`).digest('base64')
  const headers = { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': `v1,${signature}` }
  return { method: 'POST', body, headers: { 'Content-Type': 'application/json', ...headers } }
}

export const consumers = [
  {
    username: USER,
    keyauth_credentials: [{ key: KEY }],
    basicauth_credentials: [{ username: USER, password: PASSWORD }],
    hmacauth_credentials: [{ username: USER, secret: SECRET }],
    jwt_secrets: [{ key: KEY, secret: SECRET }],
    acls: [{ group: 'readers' }],
  },
]

const LIMIT = 1_000_000_000
const chat = json({ messages: [{ role: 'user', content: 'What is a gateway, in one sentence?' }] })
const order = json({ id: 7, items: [{ sku: 'a-1', count: 2 }], note: 'leave it at the door' })
const orderSchema = {
  type: 'object',
  required: ['id', 'items'],
  properties: {
    id: { type: 'integer' },
    items: {
      type: 'array',
      items: { type: 'object', properties: { sku: { type: 'string' }, count: { type: 'integer', minimum: 1 } } },
    },
    note: { type: 'string', maxLength: 200 },
  },
}

/** `bare` and `bare POST` are what others are compared with. */
export function casesFor({ backendPort, servicePort, linesPort, folder }: Places): readonly PluginCase[] {
  const backend = `http://127.0.0.1:${backendPort}`
  const service = { host: '127.0.0.1', port: servicePort }
  const lines = { host: '127.0.0.1', port: linesPort }
  const key = { headers: { apikey: KEY } }
  return [
    { name: 'bare', requests: MANY },
    { name: 'nothing', requests: MANY, note: 'a plugin of the operator’s that does nothing, in three phases' },
    { name: 'bare POST', request: order },
    { name: 'acl', config: { allow: ['readers'] }, request: key, after: 'key-auth' },
    {
      name: 'ai-prompt-decorator',
      config: { prompts: { prepend: [{ role: 'system', content: 'Be brief.' }] } },
      request: chat,
    },
    {
      name: 'ai-proxy',
      config: {
        route_type: 'llm/v1/chat',
        auth: { header_name: 'Authorization', header_value: 'Bearer a-key' },
        logging: { log_statistics: true },
        model: { provider: 'openai', name: 'm', options: { upstream_url: `http://127.0.0.1:${servicePort}/` } },
      },
      request: chat,
      answer: SERVICE_ANSWER,
      note: 'a whole answer in the form of OpenAI',
    },
    { name: 'ai-prompt-guard', config: { deny_patterns: ['.*password.*'] }, request: chat },
    { name: 'basic-auth', request: { headers: { Authorization: BASIC } } },
    { name: 'bot-detection', request: { headers: { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64)' } } },
    { name: 'compression', note: 'the decision not to; what compressing costs is the encoder’s' },
    { name: 'correlation-id', config: { header_name: 'X-Correlation' } },
    {
      name: 'cors',
      config: { origins: ['https://page.example.test'] },
      request: { headers: { Origin: 'https://page.example.test' } },
    },
    { name: 'datadog', isDeferred: true, config: lines },
    {
      name: 'deprecation',
      config: { name: 'orders', deprecated_at: '2026-01-01T00:00:00Z', sunset_at: '2099-01-01T00:00:00Z' },
    },
    { name: 'ext-authz', config: { url: `${backend}/` }, note: 'with a call for each request' },
    { name: 'fault-injection', config: { abort: { percent: 0, status: 503 } } },
    { name: 'file-log', isDeferred: true, config: { path: `${folder}/requests.log` } },
    {
      name: 'hmac-auth',
      config: { clock_skew: ANY_SKEW },
      request: { headers: { Date: DATE, Authorization: hmac() } },
    },
    { name: 'http-log', isDeferred: true, config: { http_endpoint: `${backend}/`, queue: { max_batch_size: 200 } } },
    { name: 'ip-restriction', config: { allow: ['127.0.0.0/8', '10.0.0.0/8'] } },
    { name: 'jwt', request: { headers: { Authorization: `Bearer ${token()}` } } },
    { name: 'key-auth', request: key },
    {
      name: 'oauth2-introspection',
      config: { introspection_url: `http://127.0.0.1:${servicePort}/`, authorization_value: 'Basic YTpi' },
      request: { headers: { Authorization: 'Bearer opaque' } },
      note: 'answered from the cache',
    },
    {
      name: 'opa',
      config: { opa_host: service.host, opa_port: service.port, opa_path: '/v1/data/allow' },
      note: 'with a call for each request',
    },
    {
      name: 'opentelemetry',
      isDeferred: true,
      config: { traces_endpoint: `${backend}/v1/traces`, sampling_rate: 0.1 },
    },
    { name: 'post-function', config: { header_filter: ["kong.response.set_header('x-done', 'yes')"] } },
    { name: 'pre-function', config: { access: ["kong.service.request.set_header('x-done', 'yes')"] } },
    { name: 'problem-details' },
    { name: 'rate-limiting', config: { policy: 'local', minute: LIMIT } },
    {
      name: 'request-mirror',
      isDeferred: true,
      config: { url: `${backend}/`, percent: 10 },
      note: 'a tenth of the requests',
    },
    { name: 'request-size-limiting' },
    {
      name: 'request-termination',
      config: { status_code: 200, message: 'Closed' },
      answer: '{"message":"Closed"}',
      note: 'instead of the upstream',
    },
    { name: 'request-transformer', config: { add: { headers: ['X-Added: yes'] }, remove: { headers: ['X-Removed'] } } },
    {
      name: 'request-validator',
      config: { version: 'draft202012', body_schema: JSON.stringify(orderSchema) },
      request: order,
    },
    { name: 'response-ratelimiting', config: { limits: { videos: { minute: LIMIT } } } },
    { name: 'response-transformer', config: { add: { headers: ['X-Added: yes'] } } },
    { name: 'security-headers' },
    {
      name: 'session',
      config: { secret: SECRET },
      request: key,
      after: 'key-auth',
      note: 'with a new session for each request',
    },
    { name: 'standard-webhooks', config: { secret_v1: SECRET, tolerance_second: ANY_SKEW }, request: webhook() },
    { name: 'statsd', isDeferred: true, config: lines },
    { name: 'syslog', isDeferred: true, config: { ...lines, transport: 'udp' } },
    { name: 'tcp-log', isDeferred: true, config: lines },
    { name: 'traffic-limit', config: { limits: [{ name: 'all', limit: LIMIT, window: 'minute' }] } },
    { name: 'traffic-split', config: { targets: [{ name: 'canary', service: 'other', weight: 10 }] } },
    { name: 'udp-log', isDeferred: true, config: lines },
    { name: 'zipkin', isDeferred: true, config: { http_endpoint: `${backend}/api/v2/spans`, sample_ratio: 0.1 } },
  ]
}
