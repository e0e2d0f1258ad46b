import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TreeEdit, changeTree, getFromTree, type TreeNode } from './prefix-tree.ts'

type Tree = TreeNode<number> | null

/** What a tree is made of, without who made it. */
function shapeOf(node: Tree): unknown {
  return node && [node.label, node.value, node.base, node.children.map(shapeOf)]
}

function build(entries: Iterable<readonly [string, number]>): Tree {
  const edit = new TreeEdit()
  let root: Tree = null
  for (const [text, value] of entries) root = changeTree(root, text, value, edit)
  return root
}

const text = fc
  .array(fc.constantFrom('a', 'b', '/', '\u00ff', 'abcdefghijklmnop'), { maxLength: 6 })
  .map((parts) => parts.join(''))
const change = fc.tuple(text, fc.option(fc.integer()))

test('a tree keeps what a map keeps, whatever batches made it, and has the shape of one built from nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 8 }), { maxLength: 8 }), (batches) => {
      const expected = new Map<string, number>()
      let root: Tree = null
      for (const batch of batches) {
        const edit = new TreeEdit()
        for (const [key, value] of batch) {
          root = changeTree(root, key, value, edit)
          if (value === null) expected.delete(key)
          else expected.set(key, value)
        }
        for (const [key] of batches.flat()) assert.equal(getFromTree(root, key), expected.get(key) ?? null)
      }
      assert.deepEqual(shapeOf(root), shapeOf(build(expected)))
    }),
  )
})

test('a tree that was made does not change any more', () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 20 }),
      fc.array(change, { minLength: 1, maxLength: 20 }),
      (first, second) => {
        const edit = new TreeEdit()
        let before: Tree = null
        for (const [key, value] of first) before = changeTree(before, key, value, edit)
        const shape = shapeOf(before)
        const next = new TreeEdit()
        let after = before
        for (const [key, value] of second) after = changeTree(after, key, value, next)
        assert.deepEqual(shapeOf(before), shape)
      },
    ),
  )
})

test('a change in a tree of 50,000 texts copies only the nodes on its way', () => {
  const root = build(Array.from({ length: 50_000 }, (_, i) => [`/services/s${i}/items`, i] as const))
  for (const key of ['/services/s12345/items', '/services/s12345/other', '/other']) {
    const edit = new TreeEdit()
    const changed = changeTree(root, key, 1, edit)
    assert.ok(edit.nodesMade <= 9, `${key}: ${edit.nodesMade} nodes`)
    const back = new TreeEdit()
    changeTree(changed, key, null, back)
    assert.ok(back.nodesMade <= 9, `${key}: ${back.nodesMade} nodes`)
  }
  const edit = new TreeEdit()
  assert.equal(changeTree(root, '/services/absent', null, edit), root)
  assert.equal(edit.nodesMade, 0)
})
