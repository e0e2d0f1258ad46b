import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ServerConnection } from '#http/server-connection.ts'
import { BodyFlow, type BodyTarget } from './request-body.ts'

const MAX_READ = 1000

/** A body on a connection that only notes whether it is asked to wait. */
function bed(declaredLength = -1) {
  const connection = {
    isPaused: false,
    pauseBody() {
      this.isPaused = true
    },
    resumeBody() {
      this.isPaused = false
    },
  }
  let asked = 0
  const body = new BodyFlow(connection as unknown as ServerConnection, declaredLength, MAX_READ, () => asked++)
  return { body, connection, asked: () => asked }
}

class Target implements BodyTarget {
  text = ''
  isEnded = false
  isFull = false
  sendBody(bytes: Buffer): boolean {
    this.text += bytes.toString()
    return !this.isFull
  }
  endBody(): void {
    this.isEnded = true
  }
}

test('a body is collected whole, in whatever pieces and however late it comes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ maxLength: 20 }), { maxLength: 10 }), fc.nat(10), async (pieces, asksAt) => {
      const { body } = bed()
      let result: Promise<unknown> | null = null
      for (const [at, piece] of pieces.entries()) {
        if (at === asksAt) result = body.read(MAX_READ)
        body.onData(Buffer.from(piece), false)
      }
      result ??= body.read(MAX_READ)
      body.onEnd()
      assert.equal(String(await result), pieces.join(''))
    }),
  )
})

test('bytes that are only lent are copied', async () => {
  const { body } = bed()
  const lent = Buffer.from('abc')
  body.onData(lent, true)
  lent.fill('x')
  body.onEnd()
  assert.deepEqual(await body.read(MAX_READ), Buffer.from('abc'))
})

test('a body over what is asked for is too large, by its announcement or by its bytes, and can still be sent', async () => {
  assert.deepEqual(await bed(11).body.read(10), { error: 'too_large' })
  assert.deepEqual(
    await bed(MAX_READ + 1).body.read(1e9),
    { error: 'too_large' },
    'a plugin can’t ask for more than the settings allow',
  )
  const { body } = bed()
  const reading = body.read(10)
  body.onData(Buffer.from('123456'), false)
  body.onData(Buffer.from('789012'), false)
  assert.deepEqual(await reading, { error: 'too_large' })
  assert.equal(String(body.held), '123456789012')
})

test('a client that leaves ends the reading, and later readings too', async () => {
  const { body } = bed()
  const reading = body.read(10)
  body.onData(Buffer.from('123'), false)
  body.onAbort()
  assert.deepEqual(await reading, { error: 'aborted' })
  assert.deepEqual(await body.read(10), { error: 'aborted' })
})

test('a body that nobody wants yet is held up to a bound, then its client waits', () => {
  const { body, connection } = bed()
  body.onData(Buffer.alloc(60_000), false)
  assert.equal(connection.isPaused, false)
  body.onData(Buffer.alloc(10_000), false)
  assert.equal(connection.isPaused, true)
})

test('once it flows, bytes go straight on, and a target that is full makes the client wait until it resumes', () => {
  const { body, connection } = bed()
  const target = new Target()
  body.onData(Buffer.from('held'), false)
  assert.equal(String(body.held), 'held')
  body.flow(target)
  body.onData(Buffer.from(' one'), true)
  assert.equal(target.text, ' one')
  target.isFull = true
  body.onData(Buffer.from(' two'), true)
  assert.equal(connection.isPaused, true)
  body.resume()
  assert.equal(connection.isPaused, false)
  body.onEnd()
  assert.equal(target.isEnded, true)
  assert.equal(body.held, null)
})

test('what comes after the target failed is held again', () => {
  const { body } = bed()
  const target = new Target()
  body.flow(target)
  body.hold()
  body.onData(Buffer.from('later'), false)
  assert.equal(target.text, '')
  assert.equal(String(body.held), 'later')
})

test('the smallest limit holds, for what was announced and for what came', () => {
  const announced = bed(101).body
  announced.limit(200)
  assert.equal(announced.isOverLimit, false)
  announced.limit(100)
  announced.limit(300)
  assert.equal(announced.isOverLimit, true)
  const { body } = bed()
  body.limit(3)
  body.onData(Buffer.from('123'), false)
  assert.equal(body.isOverLimit, false)
  body.onData(Buffer.from('4'), false)
  assert.equal(body.isOverLimit, true)
})

test('a client that waits for 100 is asked for its body when somebody first wants it', () => {
  const { body, asked } = bed(10)
  assert.equal(asked(), 0)
  void body.read(100)
  assert.equal(asked(), 1)
})

test('all who read at the same time get the body, each up to its own limit', async () => {
  const { body } = bed()
  const readings = [body.read(MAX_READ), body.read(3), body.read(10)]
  body.onData(Buffer.from('1234'), false)
  assert.deepEqual(await readings[1], { error: 'too_large' })
  readings.push(body.read(MAX_READ))
  body.onData(Buffer.from('5678'), false)
  body.onEnd()
  for (const at of [0, 2, 3]) assert.deepEqual(await readings[at], Buffer.from('12345678'))
})

test('all who read at the same time are told that the client left', async () => {
  const { body } = bed()
  const readings = [body.read(10), body.read(20)]
  body.onAbort()
  assert.deepEqual(await Promise.all(readings), [{ error: 'aborted' }, { error: 'aborted' }])
})

test('who reads a body that goes on unread is told so, and never gets a part of it', async () => {
  const { body } = bed()
  const early = body.read(MAX_READ)
  body.onData(Buffer.from('held'), false)
  body.flow(new Target())
  assert.deepEqual(await early, { error: 'aborted' })
  body.onData(Buffer.from(' rest'), false)
  assert.deepEqual(await body.read(MAX_READ), { error: 'aborted' })
  body.onEnd()
  assert.deepEqual(await body.read(MAX_READ), { error: 'aborted' })
})

test('bytes that a plugin gave instead are what is read', async () => {
  const { body } = bed()
  body.replace(Buffer.from('other'))
  assert.deepEqual(await body.read(10), Buffer.from('other'))
  assert.deepEqual(await body.read(3), { error: 'too_large' })
})

test('a copy is the whole body, whatever happens to it meanwhile, and holds nobody up', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 8 }),
      fc.nat(8),
      fc.nat(8),
      (pieces, copiesAt, flowsAt) => {
        const { body, connection } = bed()
        const target = new Target()
        const copies: unknown[] = []
        const shared = Buffer.alloc(100)
        for (const [at, piece] of [...pieces, ''].entries()) {
          if (at === Math.min(copiesAt, flowsAt, pieces.length))
            body.copy(MAX_READ, (result) => copies.push(Buffer.isBuffer(result) ? result.toString() : result))
          if (at === flowsAt) {
            target.text += String(body.held ?? '')
            body.flow(target)
          }
          if (at === pieces.length) break
          const length = shared.write(piece)
          body.onData(shared.subarray(0, length), true)
          shared.fill(0)
        }
        assert.deepEqual(copies, [])
        body.onEnd()
        assert.deepEqual(copies, [pieces.join('')])
        if (flowsAt <= pieces.length) assert.equal(target.text, pieces.join(''))
        assert.equal(connection.isPaused, false)
      },
    ),
  )
})

const NO_COPY: readonly (readonly [
  why: string,
  ask: (flow: BodyFlow, done: (result: unknown) => void) => void,
  error: string,
])[] = [
  ['is announced as larger', (flow, done) => flow.copy(3, done), 'too_large'],
  ['becomes larger', (flow, done) => (flow.copy(8, done), flow.onData(Buffer.alloc(9), false)), 'too_large'],
  ['was held and is larger', (flow, done) => (flow.onData(Buffer.alloc(9), false), flow.copy(8, done)), 'too_large'],
  ['breaks off', (flow, done) => (flow.copy(99, done), flow.onAbort()), 'aborted'],
  ['is on its way', (flow, done) => (flow.flow(new Target()), flow.copy(99, done)), 'aborted'],
  ['is replaced by a larger one', (flow, done) => (flow.replace(Buffer.alloc(9)), flow.copy(8, done)), 'too_large'],
]
for (const [why, ask, error] of NO_COPY) {
  test(`there is no copy of a body that ${why}, which is told once`, () => {
    const { body } = bed(why.startsWith('is announced') ? 9 : -1)
    const told: unknown[] = []
    ask(body, (result) => told.push(result))
    body.onData(Buffer.from('more'), false)
    body.onEnd()
    assert.deepEqual(told, [{ error }])
  })
}
