import assert from 'node:assert/strict'
import { test } from 'node:test'
import { protocolErrors } from './plugin-protocols.ts'

const route = (protocols: string[]) => ({ id: 'r', protocols })
const plugin = (scope: object) => ({ id: 'p', route: null, service: null, protocols: ['http', 'https'], ...scope })

test('a plugin shares a protocol with its route', () => {
  assert.equal(protocolErrors(plugin({ route: { id: 'r' } }), [route(['https'])]), null)
  assert.deepEqual(protocolErrors(plugin({ route: { id: 'r' } }), [route(['tcp'])]), {
    protocols: "must match the associated route's protocols",
  })
})

test('a plugin shares a protocol with one of the routes of its service, if it has any', () => {
  const onService = plugin({ service: { id: 's' } })
  assert.equal(protocolErrors(onService, []), null)
  assert.equal(protocolErrors(onService, [route(['tcp']), route(['http'])]), null)
  assert.deepEqual(protocolErrors(onService, [route(['tcp'])]), {
    protocols: "must match the protocols of at least one route pointing to this Plugin's service",
  })
})
