import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { createFileVault } from './file-vault.ts'

const outside = mkdtempSync(path.join(tmpdir(), 'meridian-vault-'))
after(() => rmSync(outside, { recursive: true, force: true }))
const folder = path.join(outside, 'secrets')
mkdirSync(path.join(folder, '..data'), { recursive: true })
writeFileSync(path.join(folder, '..data', 'token'), 'hush\n')
writeFileSync(path.join(folder, 'two-lines'), 'a\nb\n\n')
writeFileSync(path.join(folder, 'large'), Buffer.alloc(1024 * 1024 + 1))
writeFileSync(path.join(outside, 'passwd'), 'not for references')
// As Kubernetes mounts a secret: a link to a file in a folder that is itself exchanged as a whole.
symlinkSync('..data/token', path.join(folder, 'token'))
symlinkSync('../passwd', path.join(folder, 'way-out'))

const fetchFrom = (from: string | null, resource: string, config = {}, version: number | null = null) =>
  createFileVault(from).fetch(config, resource, version, AbortSignal.timeout(1000))

test('a file is the text in it, less the line break at its end', async () => {
  assert.deepEqual(await fetchFrom(folder, 'token'), { value: 'hush' })
  assert.deepEqual(await fetchFrom(folder, 'two-lines'), { value: 'a\nb\n' })
  assert.deepEqual(await fetchFrom(folder, 'token', { prefix: '..data/' }), { value: 'hush' })
})

test('what lies outside of the folder is not read, and nothing is where no folder is set', async () => {
  const reasons = {
    '../passwd': 'outside of vault_file_folder',
    'way-out': 'outside of vault_file_folder',
    [path.join(outside, 'passwd')]: 'ENOENT',
    missing: 'ENOENT',
    large: 'over 1048576 bytes',
    'a\0b': 'expected the name of a file',
    '..data': 'EISDIR',
  }
  for (const [resource, reason] of Object.entries(reasons)) {
    const fetched = await fetchFrom(folder, resource)
    assert.ok('reason' in fetched && fetched.reason.includes(reason), `${resource}: ${JSON.stringify(fetched)}`)
  }
  assert.match(JSON.stringify(await fetchFrom(folder, 'passwd', { prefix: '../' })), /outside/)
  assert.match(JSON.stringify(await fetchFrom(folder, 'token', {}, 2)), /no versions/)
  assert.match(JSON.stringify(await fetchFrom(null, 'token')), /vault_file_folder/)
})
