import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'

interface Answer {
  readonly status: number
  readonly remaining: string | undefined
}

function get(port: number, agent: Agent, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ port, agent, path, headers, timeout: 20_000 }, (response) => {
      response.resume()
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          remaining: response.headers['x-ratelimit-remaining-year'] as string | undefined,
        }),
      )
    })
      .on('error', reject)
      .end()
  })
}

/** `count` requests, each over a connection of its own, `atOnce` at a time. */
async function flood(count: number, atOnce: number, one: (index: number) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = []
  let next = 0
  const run = async () => {
    while (next < count) answers.push(await one(next++))
  }
  await Promise.all(Array.from({ length: atOnce }, run))
  return answers
}

test('four workers and a local limit of N admit exactly N, and count down without a gap', async () => {
  const LIMIT = 150
  await using upstream = await startUpstream()
  await using gateway = await startGateway({
    workers: 4,
    // On a busy machine shedding load would be an answer of its own.
    settings: { overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          routes: [
            // A year's window ends once a year: no test run but one sees two of them.
            { name: 'all', paths: ['/all'], plugins: [limit({ year: LIMIT, limit_by: 'service' })] },
            {
              name: 'each',
              paths: ['/each'],
              plugins: [limit({ year: 20, limit_by: 'header', header_name: 'x-who' })],
            },
          ],
        },
      ],
    },
  })
  const agent = new Agent({ keepAlive: false, maxSockets: 64 })

  const answers = await flood(LIMIT * 3, 48, () => get(gateway.proxyPort, agent, '/all'))
  const admitted = answers.filter(({ status }) => status === 200)
  assert.equal(admitted.length, LIMIT)
  assert.equal(answers.filter(({ status }) => status === 429).length, LIMIT * 2)
  assert.equal(upstream.received.length, LIMIT)
  assert.deepEqual(
    admitted.map(({ remaining }) => Number(remaining)).toSorted((a, b) => a - b),
    Array.from({ length: LIMIT }, (_, i) => i),
  )

  const each = await flood(300, 48, (i) => get(gateway.proxyPort, agent, '/each', { 'x-who': `who-${i % 5}` }))
  assert.equal(each.filter(({ status }) => status === 200).length, 5 * 20)
})

const limit = (config: object) => ({
  name: 'rate-limiting',
  config: { policy: 'local', error_code: 429, ...config },
})
