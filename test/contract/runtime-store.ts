/** What every runtime store has to do. A store passes by running `runtimeStoreSuite` with a factory of empty stores. */
import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import type { RuntimeStore } from '#store/contract.ts'
import { START_MS } from './store-fixture.ts'

/** Opens an empty store, or answers null after marking the test as skipped. Whatever it made is gone after the store is closed. */
export type OpenRuntimeStore = (nowMs: () => number, test: TestContext) => Promise<RuntimeStore | null>

export function runtimeStoreSuite(name: string, open: OpenRuntimeStore): void {
  const withStore =
    (work: (store: RuntimeStore, clock: { nowMs: number }) => Promise<void>) => async (context: TestContext) => {
      const clock = { nowMs: START_MS }
      const store = await open(() => clock.nowMs, context)
      if (store === null) return
      try {
        await work(store, clock)
      } finally {
        await store.close()
      }
    }

  suite(`${name} runtime store`, () => {
    test(
      'gives back what was put, until it is replaced or deleted',
      withStore(async (store) => {
        const value = { list: [1, 'two', null], nested: { three: 3.5 } }
        assert.equal(await store.get('s', 'k'), undefined)
        await store.put('s', 'k', value, 1000)
        assert.deepEqual(await store.get('s', 'k'), value)
        value.list.push(4)
        assert.equal(((await store.get('s', 'k')) as typeof value).list.length, 3)
        await store.put('s', 'k', 'other', 1000)
        assert.equal(await store.get('s', 'k'), 'other')
        await store.delete('s', 'k')
        await store.delete('s', 'k')
        assert.equal(await store.get('s', 'k'), undefined)
      }),
    )

    test(
      'keeps spaces and keys apart',
      withStore(async (store) => {
        const places = [
          ['a', 'k'],
          ['b', 'k'],
          ['a', 'kk'],
          ['a k', ''],
          ['a', ' k'],
        ] as const
        for (const [index, [space, key]] of places.entries()) await store.put(space, key, index, 1000)
        for (const [index, [space, key]] of places.entries()) assert.equal(await store.get(space, key), index)
      }),
    )

    test(
      'never gives back what has expired',
      withStore(async (store, clock) => {
        await store.put('s', 'k', 'v', 1000)
        clock.nowMs += 999
        assert.equal(await store.get('s', 'k'), 'v')
        clock.nowMs += 1
        assert.equal(await store.get('s', 'k'), undefined)
        assert.equal(await store.take('s', 'k'), undefined)
        assert.equal(await store.putIfAbsent('s', 'k', 'again', 1000), true)
        assert.equal(await store.get('s', 'k'), 'again')
      }),
    )

    test(
      'puts only where nothing lives',
      withStore(async (store) => {
        assert.equal(await store.putIfAbsent('s', 'k', 1, 1000), true)
        assert.equal(await store.putIfAbsent('s', 'k', 2, 1000), false)
        assert.equal(await store.get('s', 'k'), 1)
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, index) => store.putIfAbsent('s', 'other', index, 1000)),
        )
        assert.equal(answers.filter(Boolean).length, 1)
        assert.equal(await store.get('s', 'other'), answers.indexOf(true))
      }),
    )

    test(
      'gives a value to one taker only',
      withStore(async (store) => {
        await store.put('s', 'k', 'v', 1000)
        const taken = await Promise.all(Array.from({ length: 20 }, () => store.take('s', 'k')))
        assert.deepEqual(
          taken.filter((value) => value !== undefined),
          ['v'],
        )
        assert.equal(await store.get('s', 'k'), undefined)
      }),
    )

    test(
      'keeps values that mean nothing apart from no value',
      withStore(async (store) => {
        for (const value of [null, false, 0, '']) {
          await store.put('s', 'k', value, 1000)
          assert.equal(await store.get('s', 'k'), value)
          assert.equal(await store.take('s', 'k'), value)
        }
      }),
    )
  })
}
