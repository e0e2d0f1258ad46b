import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Method } from '../grpc/proto-file.ts'
import { messageOf } from './message.ts'
import { compileTemplate, matchRule, rulesOf } from './rules.ts'
import { httpStatusOf } from './status.ts'

const method = (http: object): Method =>
  ({ path: '/a.S/M', options: [{ '(google.api.http)': http }] }) as unknown as Method

test('templates of paths', () => {
  const fieldsOf = (template: string, path: string) => {
    const { pattern, fields } = compileTemplate(template)
    const found = pattern.exec(path)
    return found === null ? null : Object.fromEntries(fields.map((field, at) => [field.join('.'), found[at + 1]]))
  }
  assert.deepEqual(fieldsOf('/v1/a', '/v1/a'), {})
  assert.equal(fieldsOf('/v1/a', '/v1/b'), null)
  assert.equal(fieldsOf('/v1.0/a', '/v1x0/a'), null, 'a dot is a dot')
  assert.deepEqual(fieldsOf('/v1/{name}', '/v1/x'), { name: 'x' })
  assert.equal(fieldsOf('/v1/{name}', '/v1/x/y'), null)
  assert.deepEqual(fieldsOf('/v1/{a.b}/c/{d}', '/v1/x/c/y'), { 'a.b': 'x', d: 'y' })
  assert.deepEqual(fieldsOf('/v1/{name=shelves/*/books/**}:read', '/v1/shelves/1/books/2/3:read'), {
    name: 'shelves/1/books/2/3',
  })
  assert.deepEqual(fieldsOf('/v1/*/{name=**}', '/v1/x/y/z'), { name: 'y/z' })
  for (const wrong of ['v1', '/v1/{', '/v1/{a}}', '/{a=}'])
    assert.throws(() => compileTemplate(wrong), /google.api.http/, wrong)
})

test('rules are tried in order, by method and path, with those that are added', () => {
  const rules = rulesOf([
    method({
      get: '/a/{x}',
      additional_bindings: [{ post: '/a', body: '*' }, { custom: { kind: 'HEAD', path: '/a' } }],
    }),
    method({ patch: '/b', body: 'inner', additional_bindings: { delete: '/b' } }),
    method({}),
    { ...method({}), options: [{ deprecated: true }] },
  ])
  assert.deepEqual(
    rules.map(({ httpMethod, body }) => [httpMethod, body]),
    [
      ['GET', null],
      ['POST', '*'],
      ['HEAD', null],
      ['PATCH', 'inner'],
      ['DELETE', null],
    ],
  )
  assert.equal(matchRule(rules, 'GET', '/b'), null)
  assert.deepEqual(matchRule(rules, 'GET', '/a/b%20c')?.values, [[['x'], 'b c']])
  assert.deepEqual(matchRule(rules, 'GET', '/a/100%')?.values, [[['x'], '100%']])
})

test('a message is made of path, query and body', () => {
  const make = (http: object, httpMethod: string, path: string, query: string | null, body = '') => {
    const message = messageOf(matchRule(rulesOf([method(http)]), httpMethod, path)!, query, Buffer.from(body))
    return typeof message === 'string' ? message : JSON.parse(JSON.stringify(message))
  }
  assert.deepEqual(make({ get: '/a/{x.y}' }, 'GET', '/a/1', 'x.z=2&t=a&t=b&t=c&x.y=9&e'), {
    x: { z: '2', y: '1' },
    t: ['a', 'b', 'c'],
    e: '',
  })
  assert.deepEqual(make({ post: '/a/{x}', body: '*' }, 'POST', '/a/1', 'q=1', '{"x":5,"y":[1]}'), { x: '1', y: [1] })
  assert.deepEqual(make({ post: '/a/{x}', body: 'in' }, 'POST', '/a/1', null, '[1]'), { x: '1', in: [1] })
  assert.deepEqual(make({ post: '/a', body: '*' }, 'POST', '/a', null), {})
  assert.equal(make({ post: '/a', body: '*' }, 'POST', '/a', null, '{'), 'the body is not JSON')
  assert.equal(make({ post: '/a', body: '*' }, 'POST', '/a', null, '[1]'), 'body must be a table')
  assert.equal(make({ post: '/{x.y}', body: 'x' }, 'POST', '/1', null, '5'), 'x.y: x is no message')
  make({ get: '/a' }, 'GET', '/a', '__proto__.polluted=yes&constructor.prototype.polluted=yes')
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

test('statuses of gRPC have theirs of HTTP', () => {
  assert.deepEqual(
    ['0', '1', '5', '16', '17', '99', 'x', '', '-1'].map(httpStatusOf),
    [200, 499, 404, 401, 500, 500, 500, 500, 500],
  )
})
