import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseNodeState, whoCannotRead, type NodeView } from './cluster-view.ts'

function node(understands: object, more: Partial<NodeView> = {}): NodeView {
  const state = parseNodeState(JSON.stringify({ hostname: 'h', version: '1.2.3', understands }))
  return { ...state, node_id: 'n', data_center: 'd', is_self: false, status: 'up', ...more }
}

test('a change is for all nodes that may follow, as far as they say what they read', () => {
  const older = { entry_formats: [1], kinds: ['services', 'routes'] }
  assert.equal(whoCannotRead([node(older)], ['routes', 'services']), null)
  const refused = 'node n (h, version 1.2.3) does not know vaults'
  assert.equal(whoCannotRead([node(older)], ['routes', 'vaults']), refused)
  assert.equal(whoCannotRead([node(older, { status: 'unknown' })], ['vaults']), refused)
  assert.equal(whoCannotRead([node(older, { status: 'down' })], ['vaults']), null)
  assert.equal(whoCannotRead([node(older, { is_self: true })], ['vaults']), null)
  assert.equal(whoCannotRead([node({})], ['vaults']), null)
  const newer = node({ entry_formats: [2], kinds: ['services'] })
  assert.equal(whoCannotRead([newer], ['services']), 'node n (h, version 1.2.3) does not know log entries of format 1')
})
