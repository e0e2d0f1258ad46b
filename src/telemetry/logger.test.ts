import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import type { LogPlace } from '#model/settings/composites.ts'
import { openLog, type LogOptions } from './logger.ts'
import { redactionPaths, secretFieldNames } from './redaction.ts'

function openIn(context: TestContext, options: Partial<LogOptions> = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-log-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'logs', 'error.log')
  const target: LogPlace = { to: 'file', path: file, format: null }
  const gatewayLog = openLog({ target, level: 'notice', ...options })
  const lines = (name = file) =>
    readFileSync(name, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { log: gatewayLog.log, gatewayLog, file, lines }
}

test('a line is an event with fields', async (context) => {
  const { log, gatewayLog, lines } = openIn(context, { base: { worker: 3 } })
  log.warn({ target: '10.0.0.1:80', attempts: 2 }, 'target marked unhealthy')
  await gatewayLog.close()
  const [line] = lines()
  assert.partialDeepStrictEqual(line, {
    level: 'warn',
    worker: 3,
    target: '10.0.0.1:80',
    attempts: 2,
    msg: 'target marked unhealthy',
  })
  assert.match(String(line!['time']), /^\d{4}-\d\d-\d\dT.*Z$/)
})

test('an error is written with its code and its cause', async (context) => {
  const { log, gatewayLog, lines } = openIn(context)
  const error = Object.assign(new Error('no such file', { cause: new Error('deeper') }), { code: 'ENOENT' })
  log.error({ error }, 'file not read')
  log.error({ err: error }, 'file not read')
  await gatewayLog.close()
  assert.partialDeepStrictEqual(lines(), [{ error: { code: 'ENOENT' } }, { err: { code: 'ENOENT' } }])
  for (const line of lines()) assert.match(JSON.stringify(line), /deeper/)
})

test('notice writes what info writes, and emerg only what is fatal', async (context) => {
  const { log, gatewayLog, lines } = openIn(context)
  log.debug('a')
  log.info('b')
  gatewayLog.setLevel('emerg')
  log.error('c')
  log.fatal('d')
  await gatewayLog.close()
  assert.deepEqual(
    lines().map((line) => line['msg']),
    ['b', 'd'],
  )
  assert.equal(gatewayLog.level, 'emerg')
})

test('a level that is set for a time ends with it', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const { log, gatewayLog } = openIn(context)
  gatewayLog.setLevel('warn')
  gatewayLog.setLevel('debug', 60_000)
  assert.deepEqual([gatewayLog.level, log.level], ['debug', 'debug'])
  context.mock.timers.tick(30_000)
  gatewayLog.setLevel('info', 60_000)
  context.mock.timers.tick(59_999)
  assert.equal(gatewayLog.level, 'info')
  context.mock.timers.tick(1)
  assert.deepEqual([gatewayLog.level, log.level], ['warn', 'warn'])
})

test('reopen goes on in a new file when the old one was moved away', async (context) => {
  const { log, gatewayLog, file, lines } = openIn(context)
  log.info('before')
  gatewayLog.flushSync()
  renameSync(file, `${file}.1`)
  gatewayLog.reopen()
  log.info('after')
  await gatewayLog.close()
  assert.deepEqual(
    lines(`${file}.1`).map((line) => line['msg']),
    ['before'],
  )
  assert.deepEqual(
    lines(file).map((line) => line['msg']),
    ['after'],
  )
})

test('secrets of entities and credentials in headers are never written', async (context) => {
  const names = secretFieldNames([
    { key: { type: 'string', encrypted: true }, code: { type: 'string', encrypted: true } },
    { redis: { type: 'record', fields: { password: { type: 'string', encrypted: true } } } },
    {
      targets: {
        type: 'array',
        elements: { type: 'record', fields: { header_value: { type: 'string', encrypted: true } } },
      },
    },
  ])
  assert.deepEqual([...names], ['key', 'code', 'password', 'header_value'])
  const { log, gatewayLog, lines } = openIn(context, { redact: redactionPaths(names) })
  log.info({ headers: { authorization: 'hidden-1', 'kong-admin-token': 'hidden-2', accept: 'shown-1' } }, 'headers')
  log.info({ document: { key: 'hidden-3', id: 'shown-2' }, credential: { code: 'hidden-4' } }, 'entities')
  log.info({ plugin: { config: { password: 'hidden-5', key: 'hidden-6' } }, header_value: 'hidden-7' }, 'plugin')
  log.info({ code: 'SHOWN_3', error: { code: 'SHOWN_4' }, key: 'shown-5' }, 'codes of errors are no secrets')
  await gatewayLog.close()
  const text = JSON.stringify(lines())
  assert.ok(!text.includes('hidden'), text)
  assert.equal(text.match(/shown/gi)?.length, 5)
})
