/** What a real Kong answered, asked again of the gateway. What may differ, and why, stands in docs/compatibility.md. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import {
  judge,
  readAcceptedDifferences,
  runAdminCorpus,
  runProxyCorpus,
  type CaseResult,
  type DifferenceTable,
} from '../support/corpus.ts'
import { startGateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'

const PAGE = path.resolve(import.meta.dirname, '..', '..', 'docs', 'compatibility.md')
/** More would not be the same gateway any more. Cases that need plugins of a later version don't count. */
const MOST_DIFFERENCES = { proxy: 4, older: 14, admin: 5 }

/** Those that need nothing which this version doesn't have. */
const TOPICS = [
  'router-combined',
  'router-hosts',
  'router-none',
  'router-normalise',
  'router-path-handling-v0',
  'router-path-root-v0',
  'router-paths',
  'router-preserve-host',
  'router-protocols',
  'proxy-request-headers',
  'proxy-response',
  'proxy-upstream-errors',
  'http-bodies',
  'http-wire',
  'tls-certificates',
  'service-options',
  'balancer',
  'balancer-39',
  'health-passive',
  'admin-config',
  'admin-read',
  'admin-validate',
  'plugin-global',
  'plugin-order',
  'plugin-scope',
  'acl',
  'auth-multiple',
  'basic-auth',
  'bot-detection',
  'correlation-id',
  'cors',
  'hmac-auth',
  'ip-restriction',
  'jwt',
  'key-auth',
  'oauth2',
  'logging',
  'prometheus',
  'proxy-cache',
  'rate-limiting',
  'request-size-limiting',
  'request-termination',
  'request-transformer',
  'response-ratelimiting',
  'response-transformer',
  'session',
  'zipkin',
]
/** Kong 3 follows the older path handling only with its older router flavor. */
const TRADITIONAL_TOPICS = ['router-path-handling-v1', 'router-path-root-v1']

/** As the corpus's README asks for; `gw.test` is what its runners send in Host. */
const settings = { client_max_body_size: '0', error_default_type: 'text/plain', admin_hosts: 'gw.test' }

function assertAccepted(results: readonly CaseResult[], table: DifferenceTable): void {
  const tables: DifferenceTable[] = table === 'proxy' ? ['proxy', 'older', 'later'] : [table, 'later']
  const accepted = tables.flatMap((one) => readAcceptedDifferences(PAGE, one))
  const { unexpected, obsolete, passed } = judge(results, accepted)
  assert.ok(passed > 0, 'no case was run')
  assert.deepEqual(unexpected, [], `${unexpected.length} cases differ from Kong`)
  assert.deepEqual(obsolete, [], 'docs/compatibility.md promises differences that are gone')
}

test('the page names no more differences than there may be, each with its reason', () => {
  for (const table of ['proxy', 'older', 'admin'] as const) {
    const accepted = readAcceptedDifferences(PAGE, table)
    assert.ok(accepted.length <= MOST_DIFFERENCES[table], `${accepted.length} differences in the table ${table}`)
  }
  for (const table of ['proxy', 'older', 'admin', 'later'] as const) {
    for (const { topic, name, reason } of readAcceptedDifferences(PAGE, table)) {
      assert.ok(reason.length > 10, `${topic} | ${name} has no reason`)
    }
  }
})

test('requests are routed, proxied and answered as Kong does', async (t) => {
  const corpus = await requirePart(t, 'kong-corpus')
  if (!corpus) return
  await using gateway = await startGateway({ settings })
  assertAccepted(await runProxyCorpus(corpus, gateway, { topics: TOPICS }), 'proxy')
})

test('the older path handling is as in Kong with router_flavor traditional', async (t) => {
  const corpus = await requirePart(t, 'kong-corpus')
  if (!corpus) return
  await using gateway = await startGateway({ settings: { ...settings, router_flavor: 'traditional' } })
  assertAccepted(await runProxyCorpus(corpus, gateway, { topics: TRADITIONAL_TOPICS }), 'proxy')
})

test('forwarded headers of trusted clients are honoured as Kong does', async (t) => {
  const corpus = await requirePart(t, 'kong-corpus')
  if (!corpus) return
  const trusted = { trusted_ips: '127.0.0.1', real_ip_header: 'X-Forwarded-For', real_ip_recursive: 'on' }
  await using gateway = await startGateway({ settings: { ...settings, ...trusted } })
  assertAccepted(await runProxyCorpus(corpus, gateway, { profile: 'trusted' }), 'proxy')
})

test('sequences of Admin API calls are answered as Kong does', async (t) => {
  const corpus = await requirePart(t, 'kong-corpus')
  if (!corpus) return
  await using gateway = await startGateway({ database: 'sqlite', settings: { admin_hosts: 'gw.test' } })
  assertAccepted(await runAdminCorpus(corpus, gateway), 'admin')
})
