/** What clients and services send is read without failing, whatever it is, and nothing but what is meant gets through. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakeExchange } from '#pdk/testing'
import { decisionOf } from '../opa/result.ts'
import { unprovenClaims } from '../openid-connect/verify.ts'
import { findBearerToken, LONGEST_TOKEN } from './bearer-token.ts'
import { findClaim, headerTextOf, isMet, parseClaims, requirementOf, textsOf } from './claims.ts'

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '').toString('base64url')
const tokenLike = fc
  .array(
    fc.oneof(
      fc.string(),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join('.'))

test('claims are those of a JWT of three parts, or none', () => {
  fc.assert(
    fc.property(tokenLike, (text) => {
      const claims = unprovenClaims(text)
      if (claims === null) return
      assert.equal(text.split('.').length, 3)
      assert.ok(typeof claims === 'object' && !Array.isArray(claims))
    }),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (claims) => {
      assert.deepEqual(
        unprovenClaims(`${encoded({ alg: 'x' })}.${encoded(claims)}.`),
        parseClaims(JSON.stringify(claims)),
      )
    }),
  )
})

test('a bearer token is one text of its alphabet, or none', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string(), tokenLike), { maxLength: 3 }),
      fc.option(fc.string()),
      (tokens, query) => {
        const headers = tokens.map(
          (text) => ['Authorization', `Bearer ${text.replaceAll(/[^\x20-\x7e]/g, '')}`] as const,
        )
        const found = findBearerToken(fakeExchange({ headers, query }), ['header', 'query'], null)
        if (found === null || found === 'malformed') return
        assert.ok(found.text.length > 0 && found.text.length <= LONGEST_TOKEN)
        if (found.place === 'header') assert.match(found.text, /^[A-Za-z0-9._~+/-]+=*$/)
      },
    ),
  )
})

test('no claim of any form meets what it does not say', () => {
  const requirement = requirementOf(['read write', 'admin'], ['scope'], 'scope')!
  fc.assert(
    fc.property(fc.jsonValue(), (scope) => {
      const said = new Set(textsOf(scope))
      const should = said.has('admin') || (said.has('read') && said.has('write'))
      assert.equal(isMet([{ scope }], requirement), should)
      headerTextOf(scope)
    }),
  )
})

test('a path of names leads to own members only', () => {
  for (const path of [['__proto__'], ['constructor'], ['toString'], ['a', 'length'], ['list', 'length']])
    assert.equal(
      findClaim([{ a: 'text', list: [1] }], path),
      path[1] === 'length' && path[0] === 'list' ? 1 : undefined,
    )
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.array(fc.string()),
      (value, path) => void findClaim([{ value }], ['value', ...path]),
    ),
  )
})

test('a policy says yes by true or by allow: true, and by nothing else', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.jsonValue(), fc.record({ allow: fc.jsonValue(), headers: fc.jsonValue(), status: fc.jsonValue() })),
      (result) => {
        const isYes = result === true || (result as { allow?: unknown } | null)?.allow === true
        if (decisionOf(JSON.stringify({ result })).is === 'allow') assert.ok(isYes)
      },
    ),
  )
  fc.assert(fc.property(fc.string(), (text) => assert.notEqual(decisionOf(text).is, 'allow')))
})
