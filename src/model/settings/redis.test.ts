import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redisSettings } from './redis.ts'

const { kind } = redisSettings.redis_profiles
const around = { workingFolder: '/srv', prefix: '/srv/.meridian', cores: 2 }

function parse(text: string) {
  const parsed = kind.parse(text, around)
  if (!parsed.ok) assert.fail(`${parsed.expected} (at ${parsed.at})`)
  return parsed.value
}

test('profiles are URLs by name, each form with what belongs to it', () => {
  const [main, limits, cache] = parse(
    'main=redis://10.0.0.1, limits=rediss+sentinel://me:p%40ss@a:1,b,c:3/2?master=m&sentinel_password=s&server_name=x,cache=redis+cluster://[::1]:7000,h',
  )
  assert.deepEqual(main, {
    name: 'main',
    kind: 'standalone',
    addresses: [{ host: '10.0.0.1', port: 6379 }],
    master: null,
    username: null,
    password: null,
    sentinelPassword: null,
    database: 0,
    tls: null,
  })
  assert.deepEqual(limits, {
    name: 'limits',
    kind: 'sentinel',
    addresses: [
      { host: 'a', port: 1 },
      { host: 'b', port: 26_379 },
      { host: 'c', port: 3 },
    ],
    master: 'm',
    username: 'me',
    password: 'p@ss',
    sentinelPassword: 's',
    database: 2,
    tls: { verify: true, serverName: 'x' },
  })
  assert.deepEqual([cache?.kind, cache?.addresses[0]], ['cluster', { host: '::1', port: 7000 }])
  assert.deepEqual(parse(''), [])
  assert.equal(parse('a=redis://:only-password@h')[0]!.password, 'only-password')
})

for (const [text, at] of [
  ['10.0.0.1:6379', '10.0.0.1:6379'],
  ['Main=redis://h', 'Main=redis://h'],
  ['a=redis://h,a=redis://h', 'a'],
  ['a=redis://h:0', 'h:0'],
  ['a=redis://u:p@h,other', 'h,other'],
  ['a=redis://h/x', 'x'],
  ['a=redis+cluster://h/1', '1'],
  ['a=redis+sentinel://h', 'a'],
  ['a=redis://h?master=m', 'a'],
  ['a=redis://h?timeout=1', 'timeout'],
  ['a=rediss://h?verify=no', 'no'],
  ['a=redis://u:%zz@h', 'a'],
] as const) {
  test(`${text} is refused, naming what is wrong and never the password`, () => {
    const parsed = kind.parse(text, around)
    assert.ok(!parsed.ok)
    assert.equal(parsed.at, at)
  })
}
