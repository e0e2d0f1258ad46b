import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { orderPlugins, type Orderable } from './order.ts'

function namesOf(plugins: readonly Orderable[], phase?: string): string[] {
  const result = orderPlugins(plugins, phase)
  assert.ok(result.ok)
  return result.order.map(({ name }) => name)
}

const plugin = (name: string, priority: number, ordering?: Orderable['ordering']): Orderable => ({
  name,
  priority,
  ordering: ordering ?? null,
})

test('the highest priority runs first', () => {
  assert.deepEqual(namesOf([plugin('acl', 950), plugin('cors', 2000), plugin('key-auth', 1250)]), [
    'cors',
    'key-auth',
    'acl',
  ])
})

test('equal priorities run by name from z to a', () => {
  assert.deepEqual(namesOf([plugin('a', 1), plugin('c', 1), plugin('b', 1)]), ['c', 'b', 'a'])
})

test('a plugin runs before those that its ordering names', () => {
  const list = [
    plugin('key-auth', 1250),
    plugin('acl', 950),
    plugin('rate-limiting', 910, { before: { access: ['key-auth'] } }),
  ]
  assert.deepEqual(namesOf(list), ['rate-limiting', 'key-auth', 'acl'])
})

test('a plugin runs after those that its ordering names, and moves no more than it has to', () => {
  const list = [
    plugin('cors', 2000, { after: { access: ['acl'] } }),
    plugin('key-auth', 1250),
    plugin('acl', 950),
    plugin('last', 1),
  ]
  assert.deepEqual(namesOf(list), ['key-auth', 'acl', 'cors', 'last'])
})

test('what has to precede a plugin that moves up moves up as well', () => {
  const list = [
    plugin('key-auth', 1250),
    plugin('acl', 950),
    plugin('rate-limiting', 910, { before: { access: ['key-auth'] } }),
    plugin('request-transformer', 801, { before: { access: ['rate-limiting'] } }),
  ]
  assert.deepEqual(namesOf(list), ['request-transformer', 'rate-limiting', 'key-auth', 'acl'])
})

test('an ordering for another phase, or with plugins that are not there, changes nothing', () => {
  const list = [plugin('a', 2, { after: { access: ['nobody'], log: ['b'] } }), plugin('b', 1)]
  assert.deepEqual(namesOf(list), ['a', 'b'])
  assert.deepEqual(namesOf(list, 'log'), ['b', 'a'])
})

test('a circle is named', () => {
  const list = [
    plugin('a', 3, { after: { access: ['c'] } }),
    plugin('b', 2, { after: { access: ['a'] } }),
    plugin('c', 1, { after: { access: ['b'] } }),
    plugin('d', 0),
  ]
  const result = orderPlugins(list)
  assert.ok(!result.ok)
  assert.equal(result.cycle.length, 3)
  const at = result.cycle.indexOf('a')
  assert.deepEqual([...result.cycle.slice(at), ...result.cycle.slice(0, at)], ['a', 'b', 'c'])
})

test('a plugin that wants to run before itself is a circle', () => {
  assert.deepEqual(orderPlugins([plugin('a', 1, { before: { access: ['a'] } })]), { ok: false, cycle: ['a'] })
})

test('keeps every wish, or there is a circle', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const wishes = fc.uniqueArray(name, { maxLength: 2 })
  const list = fc.uniqueArray(
    fc.record({ name, priority: fc.integer({ min: 0, max: 3 }), before: wishes, after: wishes }),
    { selector: (one) => one.name },
  )
  fc.assert(
    fc.property(list, (plugins) => {
      const result = orderPlugins(
        plugins.map(({ before, after, ...rest }) => ({
          ...rest,
          ordering: { before: { access: before }, after: { access: after } },
        })),
      )
      if (!result.ok) return assert.ok(result.cycle.length > 0)
      const place = new Map(result.order.map((one, i) => [one.name, i]))
      assert.equal(place.size, plugins.length)
      for (const { name: own, before, after } of plugins) {
        for (const other of before) assert.ok((place.get(other) ?? Infinity) > place.get(own)!)
        for (const other of after) assert.ok((place.get(other) ?? -1) < place.get(own)!)
      }
    }),
  )
})
