import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blocksOf, missingLine, stepsOf } from './doc-page.ts'

const OUTPUT =
  'HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 11:02:41 GMT\r\nX-Config-Revision: 7\r\n\r\n{"id":"a","name":"x"}\n'

test('what is shown has to be there line by line, unless lines are left out', () => {
  assert.equal(missingLine(['HTTP/1.1 200 OK', 'Date: Mon, 05 Jan 2026 10:00:00 GMT'], OUTPUT), null)
  assert.equal(missingLine(['HTTP/1.1 200 OK', 'X-Config-Revision: 7'], OUTPUT), 'X-Config-Revision: 7')
  assert.equal(missingLine(['HTTP/1.1 200 OK', '...', 'X-Config-Revision: 7', '...'], OUTPUT), null)
})

test('another number, text or order is missed', () => {
  assert.equal(missingLine(['...', 'X-Config-Revision: 8'], OUTPUT), 'X-Config-Revision: 8')
  assert.equal(missingLine(['...', '{"id":"…","name":"y"}'], OUTPUT), '{"id":"…","name":"y"}')
  assert.equal(missingLine(['...', 'X-Config-Revision: 7', '...', 'HTTP/1.1 200 OK'], OUTPUT), 'HTTP/1.1 200 OK')
})

test('text within a line can be left out', () => {
  assert.equal(missingLine(['...', '{"id":"…",…}'], OUTPUT), null)
})

test('commands go on over lines that end with a backslash', () => {
  const [block] = blocksOf('# Page\n\n```console\n$ curl a \\\n  -H b\nout\n$ true\n```\n')
  assert.equal(block?.line, 4)
  assert.deepEqual(stepsOf(block), [
    { command: 'curl a  -H b', output: ['out'] },
    { command: 'true', output: [] },
  ])
})
