import assert from 'node:assert/strict'
import { test } from 'node:test'
import { standaloneEndpoint } from '../../test/support/redis.ts'
import type { ConnectionObserver, RedisConnection } from './redis-port.ts'
import { PROBE_MS, RedisFailure, RedisLink } from './redis-link.ts'

const TIMEOUT_MS = 50

interface Sent {
  readonly name: string
  readonly key: string
  answer(value: unknown): void
  fail(message: string, name?: string): void
}

/** A link on a connection that a test answers for, at a time that passes when the test says so. */
class Bed implements RedisConnection {
  isReady = false
  readonly sent: Sent[] = []
  readonly states: (readonly [boolean, string])[] = []
  readonly resets: string[] = []
  readonly failures = { value: 0 }
  readonly link: RedisLink
  observer!: ConnectionObserver
  shards: Readonly<Record<string, string>> = {}
  #nowMs = 1000
  #timers: { atMs: number; run: () => void }[] = []

  constructor(queueSize = 100) {
    this.link = new RedisLink({
      endpoint: standaloneEndpoint('test', { host: 'redis', port: 6379 }, TIMEOUT_MS),
      open: (_endpoint, _times, observer) => {
        this.observer = observer
        return this
      },
      connectTimeoutMs: 500,
      queueSize,
      keyPrefix: 'm:',
      commands: { value: 0 },
      failures: this.failures,
      onState: (isUp, reason) => this.states.push([isUp, reason]),
      monotonicMs: () => this.#nowMs,
      later: (run, ms) => {
        const timer = { atMs: this.#nowMs + ms, run }
        this.#timers.push(timer)
        return () => (this.#timers = this.#timers.filter((each) => each !== timer))
      },
      afterReading: (run) => run(),
    })
  }

  run(): Promise<unknown> {
    throw new Error('not used here')
  }

  command(name: string, [key]: readonly (string | number)[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const fail = (message: string, kind = 'ReplyError') => reject(Object.assign(new Error(message), { name: kind }))
      this.sent.push({ name, key: String(key), answer: resolve, fail })
    })
  }

  shardOf(key: string): string {
    return this.shards[key] ?? ''
  }

  reset(shard: string): void {
    this.resets.push(shard)
  }

  close(): void {}

  ready(): void {
    this.isReady = true
    this.observer.onReady()
  }

  get(key = 'k'): Promise<unknown> {
    return this.link.command(key, 'get', [key])
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    for (;;) {
      await settled()
      const next = this.#timers.filter(({ atMs }) => atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined) break
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      this.#timers = this.#timers.filter((each) => each !== next)
      next.run()
    }
    this.#nowMs = untilMs
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const reasonOf = (answer: unknown) => (answer instanceof RedisFailure ? answer.reason : answer)

test('before the first connection a command waits for it, no longer than its deadline', async () => {
  const bed = new Bed()
  const early = bed.get()
  assert.equal(bed.sent.length, 0)
  bed.ready()
  bed.sent[0]!.answer('value')
  assert.equal(await early, 'value')
  const other = new Bed()
  const never = other.get()
  await other.pass(TIMEOUT_MS)
  assert.equal(reasonOf(await never), 'late')
})

test('once nothing is answered, what waits fails together and what comes later at once', async () => {
  const bed = new Bed()
  bed.ready()
  const first = bed.get()
  await bed.pass(TIMEOUT_MS - 1)
  const second = bed.get()
  await bed.pass(1)
  assert.deepEqual([await first, await second, await bed.get()].map(reasonOf), ['late', 'down', 'down'])
  assert.deepEqual(bed.states, [[false, 'no answer within 50 ms']])
  assert.equal(bed.link.answersFor('k'), false)
  assert.equal(bed.failures.value, 3)
})

test('a command that a busy thread has held has its whole time from when it is sent', async () => {
  const bed = new Bed()
  bed.ready()
  const held = bed.get()
  await bed.pass(TIMEOUT_MS - 1)
  bed.observer.onSent()
  await bed.pass(TIMEOUT_MS - 1)
  bed.sent[0]!.answer('value')
  assert.equal(await held, 'value')
  const silent = bed.get()
  bed.observer.onSent()
  await bed.pass(TIMEOUT_MS)
  assert.equal(reasonOf(await silent), 'late')
})

test('an answer that comes late tells that Redis is there again', async () => {
  const bed = new Bed()
  bed.ready()
  const late = bed.get()
  await bed.pass(TIMEOUT_MS)
  assert.equal(reasonOf(await late), 'late')
  bed.sent[0]!.answer('value')
  await settled()
  assert.deepEqual(
    bed.states.map(([isUp]) => isUp),
    [false, true],
  )
  assert.equal(bed.link.isUp, true)
})

test('a connection that stays silent is given up, again and again, until a write succeeds', async () => {
  const bed = new Bed()
  bed.ready()
  void bed.get()
  await bed.pass(TIMEOUT_MS + PROBE_MS)
  assert.deepEqual(bed.resets, [''])
  bed.isReady = false
  bed.ready()
  assert.equal(bed.sent.at(-1)!.name, 'set')
  assert.match(bed.sent.at(-1)!.key, /^m:probe:/)
  await bed.pass(PROBE_MS)
  assert.equal(bed.resets.length, 2, 'the write was not answered either')
  bed.ready()
  bed.sent.at(-1)!.answer('OK')
  await settled()
  assert.deepEqual(bed.states.at(-1), [true, ''])
  await bed.pass(10 * PROBE_MS)
  assert.equal(bed.resets.length, 2, 'and then nothing is tried any more')
})

test('a connection that is made only just before the next try has its time to answer', async () => {
  const bed = new Bed()
  bed.ready()
  void bed.get()
  await bed.pass(TIMEOUT_MS + PROBE_MS)
  bed.isReady = false
  await bed.pass(PROBE_MS - 1)
  bed.ready()
  await bed.pass(2)
  assert.deepEqual(bed.resets, [''])
})

test('a Redis that can not do its work is down, however fast it says so', async () => {
  for (const message of ['OOM command not allowed', 'READONLY You can not', 'LOADING Redis is', 'NOPERM no']) {
    const bed = new Bed()
    bed.ready()
    const refused = bed.get()
    bed.sent[0]!.fail(message)
    assert.equal(reasonOf(await refused), 'refused')
    assert.deepEqual(bed.states, [[false, message]])
    await bed.pass(PROBE_MS)
    assert.deepEqual(bed.resets, [], 'it answers, so the connection is not given up')
    bed.sent.at(-1)!.answer('OK')
    await settled()
    assert.equal(bed.link.isUp, true)
  }
})

test('an error about one key is of that command alone', async () => {
  const bed = new Bed()
  bed.ready()
  const refused = bed.get()
  bed.sent[0]!.fail('WRONGTYPE Operation against a key')
  assert.equal(reasonOf(await refused), 'refused')
  assert.deepEqual(bed.states, [])
})

test('a lost connection is told once, however often connecting fails', async () => {
  const bed = new Bed()
  bed.ready()
  void bed.get()
  bed.sent[0]!.answer('value')
  await settled()
  for (let i = 0; i < 5; i++) bed.observer.onClosed('ECONNREFUSED')
  assert.deepEqual(bed.states, [
    [true, ''],
    [false, 'ECONNREFUSED'],
  ])
})

test('no more commands are under way than there may be', async () => {
  const bed = new Bed(2)
  bed.ready()
  void bed.get()
  void bed.get()
  assert.equal(reasonOf(await bed.get()), 'full')
  bed.sent[0]!.answer('value')
  await settled()
  const fourth = bed.get()
  bed.sent.at(-1)!.answer('value')
  assert.equal(await fourth, 'value')
})

test('in a Cluster one lost master does not stop what the others have', async () => {
  const bed = new Bed()
  bed.shards = { a: 'one:1', b: 'two:2' }
  bed.ready()
  const lost = bed.get('a')
  await bed.pass(TIMEOUT_MS - 10)
  const well = bed.get('b')
  bed.sent[1]!.answer('value')
  await bed.pass(10)
  assert.deepEqual([await lost, await well].map(reasonOf), ['late', 'value'])
  assert.deepEqual(
    ['a', 'b'].map((key) => bed.link.answersFor(key)),
    [false, true],
  )
  assert.equal(bed.link.isUp, false)
})

test('a link that is closed answers everything, and tells nothing any more', async () => {
  const bed = new Bed()
  bed.ready()
  const waiting = bed.get()
  bed.link.close()
  bed.observer.onClosed('closed')
  assert.deepEqual([await waiting, await bed.get()].map(reasonOf), ['down', 'down'])
  assert.deepEqual(bed.states, [])
})
