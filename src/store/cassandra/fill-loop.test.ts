import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FillLoop } from './fill-loop.ts'

/** A loop in its own time, over a copy of so many parts each of which takes a second. */
function filling(parts: number, { fails = 0, isReady = () => true }: { fails?: number; isReady?: () => boolean } = {}) {
  const told: string[] = []
  const pauses: number[] = []
  let nowMs = 0
  let done = 0
  const whole = Promise.withResolvers<void>()
  const loop = new FillLoop({
    store: {
      get filling() {
        return done < parts ? { parts, done, rows: done } : null
      },
      async fillNext() {
        nowMs += 1000
        if (fails-- > 0) throw new Error('no answer')
        return done++ < parts
      },
    },
    isReady,
    log: {
      info: (_fields: object, text: string) => {
        told.push(text)
        if (text.endsWith('is whole')) whole.resolve()
      },
      warn: (_fields: object, text: string) => told.push(text),
    } as never,
    monotonicMs: () => nowMs,
    delay: async (ms, signal) => {
      signal.throwIfAborted()
      pauses.push(ms)
      nowMs += ms
      await new Promise((resolve) => setImmediate(resolve))
    },
  })
  return { loop, told, pauses, whole: whole.promise }
}

test('a copy is filled with a rest as long as each part took, and a failure is told once and tried again', async () => {
  const { loop, told, pauses, whole } = filling(3, { fails: 2 })
  loop.start()
  await whole
  await loop.close()
  assert.deepEqual(pauses, [1000, 1000, 1000, 1000, 1000])
  assert.deepEqual(told, [
    'the copy of the configuration is being filled',
    'the copy of the configuration can not be filled now',
    'the copy of the configuration is whole',
  ])
})

test('nothing is filled before the node serves, nor once it ends; a whole copy is left alone', async () => {
  const waiting = filling(3, { isReady: () => false })
  waiting.loop.start()
  await waiting.loop.close()
  assert.deepEqual(waiting.told, [])
  const { loop, told } = filling(0)
  loop.start()
  await loop.close()
  assert.deepEqual(told, [])
})
