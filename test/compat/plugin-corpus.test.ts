import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { builtPlugins } from '#plugins/index.ts'
import { requirePart } from '../support/parts.ts'
import { PluginGateway, type CorpusRequest, type Observed, type TopicConfig } from '../support/plugin-gateway.ts'

interface Step {
  readonly request: CorpusRequest
  readonly to?: string
  readonly repeat?: number
  readonly sink?: string
  readonly expect?: object
}
interface Case extends Partial<Step> {
  readonly name: string
  readonly steps?: readonly Step[]
}
interface Topic {
  readonly config: TopicConfig
  readonly cases: readonly Case[]
}
interface Variables {
  expand<T>(value: T): T
}
type Sign = (request: CorpusRequest) => CorpusRequest
type Check = (expected: object, observed: Observed, variables: Variables) => string[]

/** Topics, and those of their cases that can't be judged here: they are about the proxy, or differ on purpose (docs/compatibility.md). */
const TOPICS: Readonly<Record<string, (name: string) => boolean>> = {
  'key-auth': () => false,
  acl: () => false,
  cors: () => false,
  'correlation-id': () => false,
  'rate-limiting': () => false,
  'request-termination': () => false,
  'request-transformer': () => false,
  // The proxy adds the charset.
  'response-transformer': (name) => name.includes('not JSON type'),
  'ip-restriction': () => false,
  'request-size-limiting': (name) => name.startsWith('Expect'),
  'basic-auth': () => false,
  'bot-detection': () => false,
  jwt: () => false,
  'hmac-auth': () => false,
  'plugin-order': (name) => name === 'ip-restriction after key-auth' || name === 'ip before termination',
  // A plugin of the anonymous consumer marks the answer; which plugins run is up to the snapshot.
  'auth-multiple': (name) => ['or: nothing', 'or: wrong key', 'mixed: wrong key'].includes(name),
}

for (const [topic, isBeyond] of Object.entries(TOPICS)) {
  test(`plugins answer like Kong: ${topic}`, async (t) => {
    const corpus = await requirePart(t, 'kong-corpus')
    if (corpus === null) return
    const { check } = (await import(path.join(corpus, 'run.mjs'))) as { check: Check }
    const { Variables } = (await import(path.join(corpus, 'lib/variables.mjs'))) as {
      Variables: new (values: object) => Variables
    }
    const { signed } = (await import(path.join(corpus, 'lib/sign.mjs'))) as { signed: Sign }
    const variables = new Variables({ echo1: 19301, proxyPort: 8000 })
    const { config, cases } = variables.expand(
      JSON.parse(readFileSync(path.join(corpus, 'topics', `${topic}.json`), 'utf8')) as Topic,
    )
    const isSigned = JSON.stringify(cases).includes('"sign":')
    // The corpus signs with the time that it is; windows of limits need one that is not near their end.
    const nowMs = isSigned ? Date.now() : Date.parse('2030-05-17T10:20:30.400Z')
    const gateway = new PluginGateway(config, builtPlugins, nowMs)
    let judged = 0
    for (const one of cases) {
      if (isBeyond(one.name)) continue
      for (const step of one.steps ?? [one as Step]) {
        const observed = await gateway.answer(signed(step.request))
        const found = step.expect === undefined ? [] : check(step.expect, observed, variables)
        assert.deepEqual(found, [], `${topic}: ${one.name}`)
        judged++
      }
    }
    assert.ok(judged > 0)
  })
}
