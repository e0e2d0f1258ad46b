import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isHttp2Preface } from './preface.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

for (const [text, pos, expected] of [
  [PREFACE, 0, true],
  [`\r\n${PREFACE}`, 2, true],
  [PREFACE, 1, false],
  ['NONSENSE\r\n\r\n', 0, false],
  ['\r\n\r\n', 4, false],
  ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 0, false],
] as const)
  test(`${JSON.stringify(text)} from ${pos} on is ${expected ? '' : 'not '}the beginning of HTTP/2`, () => {
    assert.equal(isHttp2Preface(Buffer.from(text), pos), expected)
  })
