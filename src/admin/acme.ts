/** Kong's endpoints for the certificates that the plugin acme gets. */
import { isDomainName } from '#core/host-patterns.ts'
import { type Answer, answerJson, answerMessage, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import { inputOf } from './entity-input.ts'
import type { AdminPorts } from './ports.ts'

export function acmeEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    {
      path: '/acme',
      methods: {
        POST: {
          handler: (request) => create(ports, request),
          about: 'Gets a certificate for a host now; or tries out whether challenges for it come here.',
          role: 'editor',
          body: {
            schema: {
              type: 'object',
              properties: {
                host: { type: 'string', description: 'A server name.' },
                test_http_challenge_flow: { type: 'boolean', description: 'Only tries it out.' },
              },
            },
          },
          answers: {
            200: 'message',
            201: 'message',
            400: 'message',
            404: 'message',
            409: 'message',
            415: 'message',
            500: 'message',
          },
        },
        PATCH: {
          handler: () => {
            ports.acme.renew()
            return answerMessage(202, 'Renewal process started successfully')
          },
          about: 'Renews the certificates that are due, in the background.',
          role: 'editor',
          answers: { 202: 'message' },
        },
      },
    },
    {
      path: '/acme/certificates',
      methods: {
        GET: {
          handler: (request) => list(ports, request),
          about: 'The certificates that were got.',
          role: 'viewer',
          query: [{ name: 'invalid_only', about: 'Only those that are not valid now.', schema: { type: 'boolean' } }],
          answers: { 200: { schema: LIST } },
        },
      },
    },
    {
      path: '/acme/certificates/{host}',
      methods: {
        GET: {
          handler: (request) => show(ports, request),
          about: 'The certificate that was got for a host.',
          role: 'viewer',
          answers: { 200: { schema: ONE }, 404: 'message' },
        },
      },
    },
  ]
}

const CERTIFICATE = {
  type: 'object',
  properties: {
    digest: { type: 'string' },
    host: { type: 'string' },
    issuer_cn: { type: ['string', 'null'] },
    not_before: { type: 'string' },
    not_after: { type: 'string' },
    valid: { type: 'boolean' },
    serial_number: { type: 'string' },
    pubkey_type: { type: 'string' },
  },
} as const
const LIST = { type: 'object', properties: { data: { type: 'array', items: CERTIFICATE } } } as const
const ONE = { type: 'object', properties: { data: CERTIFICATE } } as const

const BODY = {
  kind: 'acme',
  about: 'A certificate to be got.',
  fields: { host: { type: 'string' }, test_http_challenge_flow: { type: 'boolean' } },
} as const

async function create({ acme, model }: AdminPorts, { body }: AdminRequest): Promise<Answer> {
  const { host, test_http_challenge_flow: isTest } = inputOf(model, BODY, body)
  if (!acme.isConfigured()) return NOT_FOUND
  if (typeof host !== 'string' || host === '')
    return answerMessage(400, 'host must be provided and containing a single domain')
  if (host.includes(':')) return answerMessage(400, 'port is not allowed in host')
  const name = host.toLowerCase()
  // The gateway itself asks this host: nothing but a name may stand there.
  if (!isDomainName(name)) return answerMessage(400, `host must be a domain name, got '${host.slice(0, 300)}'`)
  if (isTest === true) {
    const problem = await acme.checkHttp(name)
    return problem === null
      ? answerMessage(200, `sanity test for host ${name} passed`)
      : answerMessage(400, `problem found running sanity check for ${name}: ${problem}`)
  }
  const obtained = await acme.obtain(name)
  switch (obtained.is) {
    case 'issued':
      return answerMessage(201, `certificate for host ${name} is created`)
    case 'not_allowed':
      return answerMessage(400, `host ${name} is not in the domains of a plugin acme`)
    case 'failed':
      return answerMessage(500, `failed to update certificate: ${obtained.problem}`)
    default:
      return answerMessage(409, `a certificate for host ${name} is being got already`)
  }
}

async function list({ acme }: AdminPorts, { query }: AdminRequest): Promise<Answer> {
  const all = await acme.list()
  const isInvalidOnly = query.one('invalid_only') === 'true'
  return answerJson(200, { data: isInvalidOnly ? all.filter(({ valid }) => !valid) : all })
}

async function show({ acme }: AdminPorts, { parameters }: AdminRequest): Promise<Answer> {
  const host = parameters['host']!
  const found = await acme.find(host.toLowerCase())
  // Without a blank, as Kong says it.
  return found === null
    ? answerMessage(404, `Certificate for host ${host}not found in storage`)
    : answerJson(200, { data: found })
}
