import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isVaultReference, parseVaultReference } from './vault-reference.ts'

test('a reference names vault, resource, member, options and version', () => {
  assert.deepEqual(parseVaultReference('{vault://env/my-var}'), {
    vault: 'env',
    resource: 'my-var',
    key: null,
    config: new Map(),
    version: null,
  })
  assert.deepEqual(parseVaultReference('{vault://own/a%2Fb/c%20d/e?prefix=X_&y=#2}'), {
    vault: 'own',
    resource: 'a/b/c d',
    key: 'e',
    config: new Map([
      ['prefix', 'X_'],
      ['y', ''],
    ]),
    version: 2,
  })
})

test('what names no vault or no resource is no reference that could be followed', () => {
  for (const text of ['{vault://env}', '{vault://env/}', '{vault:///a}', '{vault://env/a#x}', 'vault://env/a'])
    assert.equal(parseVaultReference(text), null, text)
  assert.deepEqual([isVaultReference('{vault://env}'), isVaultReference(' {vault://env/a}')], [true, false])
})
