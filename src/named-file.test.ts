import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readNamedFile } from './named-file.ts'

test('a file that is not there is told with the setting that names it', () => {
  assert.throws(() => readNamedFile('admin_token_file', '/nowhere/access'), {
    code: 'SETTINGS_INVALID',
    message: 'admin_token_file: expected a file that can be read, got /nowhere/access (ENOENT)',
  })
})
