import assert from 'node:assert/strict'
import { lookup } from 'node:dns'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { HttpAsker } from '#pdk/ask-http.ts'
import { completeConfig } from '#pdk/testing'
import { FakeService } from '../authorization/testing.ts'
import { KeyCache, type TimedKeys } from './key-cache.ts'
import { openKeys } from './key-sources.ts'
import { awsLambda } from './plugin.ts'

const NOW = Date.parse('2030-01-01T00:00:00Z')
const folder = mkdtempSync(path.join(tmpdir(), 'meridian-aws-keys-'))
let service: FakeService
const asker = new HttpAsker({
  timeoutMs: 1000,
  connections: 4,
  keepaliveMs: 1000,
  isVerified: true,
  trusted: null,
  lookup,
  answerBytesMax: 100_000,
})
before(async () => {
  service = await FakeService.start()
})
beforeEach(() => {
  service.asked.length = 0
})
after(async () => {
  asker.close()
  await service.stop()
  rmSync(folder, { recursive: true })
})

const told = { AccessKeyId: 'id', SecretAccessKey: 'secret', Token: 'token', Expiration: '2030-01-01T01:00:00Z' }
const KEYS = { accessKeyId: 'id', secretKey: 'secret', sessionToken: 'token', expiresAtMs: NOW + 3_600_000 }

function keys(environment: Readonly<Record<string, string>>, config: object = {}) {
  const complete = completeConfig(awsLambda, { function_name: 'f', aws_region: 'us-east-1', ...config })
  return openKeys({ config: complete, region: 'us-east-1', environment, asker, nowMs: () => NOW }).get()
}
const at = (target: string) => `http://127.0.0.1:${service.port}${target}`

test('the first that is set up is the one', async () => {
  const environment = { AWS_ACCESS_KEY_ID: 'of env', AWS_SECRET_ACCESS_KEY: 's', AWS_SESSION_TOKEN: 't' }
  const fixed = await keys(environment, { aws_key: 'of config', aws_secret: 's' })
  assert.deepEqual([fixed.accessKeyId, fixed.sessionToken], ['of config', null])
  const found = await keys({ ...environment, AWS_CONTAINER_CREDENTIALS_FULL_URI: at('/container') })
  assert.deepEqual([found.accessKeyId, found.sessionToken], ['of env', 't'])
  assert.equal(service.asked.length, 0)
})

test('containers: with a token of the environment, or of a file that changes', async () => {
  service.says = () => ({ body: told })
  const full = { AWS_CONTAINER_CREDENTIALS_FULL_URI: at('/container') }
  assert.deepEqual(await keys({ ...full, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'let me' }), KEYS)
  const file = path.join(folder, 'token')
  writeFileSync(file, 'from the file\n')
  assert.deepEqual(await keys({ ...full, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file }), KEYS)
  assert.deepEqual(
    service.asked.map(({ headers }) => headers.authorization),
    ['let me', 'from the file'],
  )
})

test('pods: a role for the token in the file', async () => {
  const file = path.join(folder, 'pod')
  writeFileSync(file, 'token of the pod\n')
  service.says = () => ({
    body: '<a><AccessKeyId>id</AccessKeyId><SecretAccessKey> secret </SecretAccessKey><SessionToken>token</SessionToken><Expiration>2030-01-01T01:00:00Z</Expiration></a>',
  })
  const environment = { AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ROLE_ARN: 'arn:role' }
  assert.deepEqual(await keys(environment, { aws_sts_endpoint_url: at('/sts') }), KEYS)
  const form = new URLSearchParams(service.asked[0]!.text)
  assert.deepEqual(Object.fromEntries(form), {
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: 'arn:role',
    RoleSessionName: 'meridian',
    WebIdentityToken: 'token of the pod',
  })
  assert.equal(service.asked[0]!.headers.authorization, undefined)
})

test('what tells no keys is told apart, without what it told', async () => {
  const cases: [object, RegExp][] = [
    [{ status: 500, body: 'secret' }, /answered 500 to the question for keys$/],
    [{ status: 302, headers: { Location: '/else' } }, /answered 302/],
    [{ body: 'secret' }, /told no keys: expected JSON$/],
    [{ body: {} }, /told no keys: expected AccessKeyId/],
    [{ body: { ...told, SecretAccessKey: '' } }, /expected AccessKeyId/],
    [{ body: { ...told, AccessKeyId: 7 } }, /expected AccessKeyId/],
    [{ body: { ...told, Expiration: 'soon' } }, /expected AccessKeyId/],
    [{ body: 'x'.repeat(200_000) }, /more than 100000 bytes/],
    [{ isSilent: true }, /no answer in time/],
  ]
  for (const [said, problem] of cases) {
    service.says = () => said
    const asked = async () => keys({ AWS_CONTAINER_CREDENTIALS_FULL_URI: at('/container') })
    await assert.rejects(asked, (error: Error) => problem.test(error.message) && !error.message.includes('secret'))
  }
})

test('keys are got once, anew before they end, and kept while no others can be got', async () => {
  let nowMs = NOW
  let count = 0
  let isDown = false
  const next = async (): Promise<TimedKeys> => {
    count++
    if (isDown) throw new Error('down')
    return { ...KEYS, accessKeyId: `id ${count}`, expiresAtMs: nowMs + 3_600_000 }
  }
  const cache = new KeyCache(next, () => nowMs)
  const [one, other] = await Promise.all([cache.get(), cache.get()])
  assert.deepEqual([one.accessKeyId, other.accessKeyId, count], ['id 1', 'id 1', 1])
  nowMs += 3_300_000 - 1
  assert.ok(!(cache.get() instanceof Promise))
  assert.equal(count, 1)
  nowMs += 1
  isDown = true
  assert.equal((await cache.get()).accessKeyId, 'id 1', 'the next ones are asked for meanwhile')
  await Promise.resolve()
  assert.equal(count, 2)
  nowMs += 2000
  assert.equal((await cache.get()).accessKeyId, 'id 1')
  nowMs += 300_000
  await assert.rejects(async () => cache.get(), /down/)
  const asked = count
  await assert.rejects(async () => cache.get(), /down/)
  assert.equal(count, asked, 'after a failure nobody asks for a while')
  isDown = false
  nowMs += 1000
  assert.equal((await cache.get()).accessKeyId, `id ${asked + 1}`)
})
