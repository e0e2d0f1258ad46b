import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseProxyResult } from './proxy-result.ts'

const parse = (value: unknown) => parseProxyResult(typeof value === 'string' ? value : JSON.stringify(value))

test('status, fields and body', () => {
  const cases: [unknown, number, object, string][] = [
    [{ statusCode: 200 }, 200, {}, ''],
    [{ statusCode: '404', body: 'no' }, 404, {}, 'no'],
    [{ statusCode: 200, headers: { A: 'x', B: 7, C: true } }, 200, { A: ['x'], B: ['7'], C: ['true'] }, ''],
    [{ statusCode: 200, headers: { a: 'x' }, multiValueHeaders: { A: ['y', 'z'] } }, 200, { A: ['y', 'z'] }, ''],
    [{ statusCode: 200, headers: [], multiValueHeaders: null, body: null }, 200, {}, ''],
    [{ statusCode: 200, body: 'w7w=', isBase64Encoded: true }, 200, {}, 'ü'],
    [{ statusCode: 200, body: 'w7w=', isBase64Encoded: false }, 200, {}, 'w7w='],
  ]
  for (const [value, status, fields, body] of cases) {
    const result = parse(value)
    assert.ok(!('problem' in result), JSON.stringify(result))
    assert.deepEqual([result.status, result.fields, result.body.toString()], [status, fields, body])
  }
})

test('what is no answer is told apart', () => {
  const ok = { statusCode: 200 }
  const cases: [unknown, RegExp][] = [
    ['', /JSON/],
    ['{', /JSON/],
    ['null', /^proxy response must be json format$/],
    ['[1]', /^proxy response must be json format$/],
    ['"text"', /^proxy response must be json format$/],
    [{}, /^statusCode validation failed$/],
    ...[0, 99, 101, 199, 600, 200.5, '2e2', 'OK', null, [200], true].map((statusCode): [unknown, RegExp] => [
      { statusCode },
      /^statusCode validation failed$/,
    ]),
    [{ ...ok, headers: 'x' }, /^headers must be a table$/],
    [{ ...ok, headers: ['x'] }, /^headers must be a table$/],
    [{ ...ok, headers: { 'a b': 'c' } }, /^headers must be fields, 'a b' is none$/],
    [{ ...ok, headers: { 'a\r\nb': 'c' } }, /^headers must be fields/],
    [{ ...ok, headers: { a: {} } }, /^headers must be fields, 'a' is none$/],
    [{ ...ok, headers: { a: null } }, /^headers must be fields/],
    [{ ...ok, multiValueHeaders: { a: [['b']] } }, /^multiValueHeaders must be fields/],
    [{ ...ok, body: {} }, /^body must be a string$/],
    [{ ...ok, body: 7 }, /^body must be a string$/],
    [{ ...ok, isBase64Encoded: 'true' }, /^isBase64Encoded must be a boolean$/],
    [{ ...ok, body: '%%%', isBase64Encoded: true }, /^body must be base64$/],
  ]
  for (const [value, problem] of cases) {
    const result = parse(value)
    assert.match('problem' in result ? result.problem : 'none', problem, JSON.stringify(value))
  }
})
