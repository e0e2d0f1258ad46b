import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { authenticate } from './authenticate.ts'
import { type AccessList, createToken, isAtLeast, NO_ACCESS_LIST, parseAccessList } from './tokens.ts'

const NOW = Date.parse('2030-01-01T00:00:00Z')
const made = createToken('ci', 'editor', () => randomBytes(32))

function listOf(...lines: readonly string[]): AccessList {
  const parsed = parseAccessList(lines.join('\n'))
  assert.ok(parsed.ok, 'errors' in parsed ? parsed.errors.join() : '')
  return parsed.list
}

test('a token that was made is known by its hash alone, with its name and role', () => {
  assert.match(made.token, /^mrd_[\w-]{43}$/)
  assert.ok(!made.line.includes(made.token))
  const list = listOf('# who may', '', made.line)
  assert.deepEqual(list.byToken(made.token, NOW), { name: 'ci', role: 'editor' })
  assert.equal(list.byToken(`${made.token}x`, NOW), null)
  assert.equal(list.byToken('', NOW), null)
})

test('an entry ends when it says so', () => {
  const list = listOf(JSON.stringify({ ...JSON.parse(made.line), expires: '2030-01-01T00:00:00Z' }))
  assert.equal(list.byToken(made.token, NOW), null)
  assert.notEqual(list.byToken(made.token, NOW - 1), null)
})

test('every line that is wrong is named, without repeating what stands in it', () => {
  const parsed = parseAccessList(
    [
      'mrd_a-token-put-here-by-mistake',
      '{"name":"a","role":"root","sha256":"x"}',
      '{"name":"a","role":"admin","sha256":"x"}',
      '{"role":"admin","subject":"x"}',
      '{"name":"a","role":"admin"}',
      '{"name":"a","role":"admin","subject":"x","since":1}',
      '{"name":"a","role":"admin","subject":"x","expires":"soon"}',
      made.line,
    ].join('\n'),
  )
  assert.ok(!parsed.ok)
  assert.deepEqual(
    parsed.errors.map((error) => error.split(':')[0]),
    ['line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'line 6', 'line 7'],
  )
  assert.ok(!parsed.errors.join().includes('mistake'))
  assert.match(parsed.errors[1]!, /viewer, editor, admin/)
})

test('roles contain those below', () => {
  assert.deepEqual(
    [
      isAtLeast('admin', 'viewer'),
      isAtLeast('editor', 'editor'),
      isAtLeast('viewer', 'editor'),
      isAtLeast('editor', 'admin'),
    ],
    [true, true, false, false],
  )
})

const list = listOf(made.line, '{"name":"ops","role":"admin","subject":"ops.example"}')
const ask = (caller: Partial<Parameters<typeof authenticate>[0]>, access = list) =>
  authenticate({ headers: {}, isLoopbackListener: false, subject: null, ...caller }, access, NOW)

test('beyond loopback a token or a listed certificate is needed', () => {
  for (const headers of [
    { 'kong-admin-token': made.token },
    { authorization: `Bearer ${made.token}` },
    { authorization: `bearer  ${made.token} ` },
  ]) {
    assert.deepEqual(ask({ headers }), { ok: true, principal: { name: 'ci', role: 'editor' } })
  }
  assert.deepEqual(ask({ subject: 'ops.example' }), { ok: true, principal: { name: 'ops', role: 'admin' } })
  for (const caller of [{}, { subject: 'other.example' }, { headers: { authorization: `Basic ${made.token}` } }]) {
    const result = ask(caller)
    assert.ok(!result.ok && result.answer.status === 401)
    assert.ok('WWW-Authenticate' in result.answer.headers!)
  }
})

test('a wrong token is refused, also on loopback and beside a right certificate', () => {
  assert.equal(ask({ headers: { 'kong-admin-token': 'wrong' }, isLoopbackListener: true }).ok, false)
  assert.equal(ask({ headers: { 'kong-admin-token': 'wrong' }, subject: 'ops.example' }).ok, false)
})

test('on loopback everybody is admin; a token gives its role; without any token in the file its header is ignored', () => {
  assert.deepEqual(ask({ isLoopbackListener: true }), { ok: true, principal: { name: 'local', role: 'admin' } })
  assert.deepEqual(ask({ isLoopbackListener: true, headers: { 'kong-admin-token': made.token } }), {
    ok: true,
    principal: { name: 'ci', role: 'editor' },
  })
  assert.equal(ask({ isLoopbackListener: true, headers: { 'kong-admin-token': 'x' } }, NO_ACCESS_LIST).ok, true)
})
