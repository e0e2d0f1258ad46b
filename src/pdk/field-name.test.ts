import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeaderList } from '#http/header-list.ts'
import { FieldName } from './field-name.ts'

const name = fc.constantFrom('apikey', 'ApiKey', 'X-Consumer-ID', 'x-unknown', 'X-Unknown', 'Vary')
const entries = fc.array(fc.tuple(name, fc.constantFrom('1', '2', '')), { maxLength: 8 })

test('does what the list does by name, whether the gateway knows the name or not', () => {
  fc.assert(
    fc.property(entries, name, fc.constantFrom('set', 'append', 'remove'), (fields, used, change) => {
      const field = new FieldName(used)
      const byField = HeaderList.from(fields)
      const byName = HeaderList.from(fields)
      assert.equal(field.has(byField), byName.has(used))
      assert.equal(field.get(byField), byName.get(used))
      assert.deepEqual(field.getAll(byField), byName.getAll(used))
      if (change === 'remove') {
        field.remove(byField)
        byName.remove(used)
      } else {
        field[change](byField, 'new')
        byName[change](used, 'new')
      }
      assert.deepEqual([...byField], [...byName])
      assert.equal(byField.get(used), byName.get(used))
    }),
  )
})
