/** Which certificates of clients are trusted, beside the judgement of `openssl verify`. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, test } from 'node:test'
import { findTrustedPath } from '#plugins/mtls-auth/path.ts'
import { namesOf } from '#plugins/mtls-auth/pki.ts'
import { Authority } from '../support/authority.ts'
import { requirePart } from '../support/parts.ts'

const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
const KEYS = ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid']
const OWN = ['basicConstraints=CA:FALSE', 'keyUsage=critical,digitalSignature', ...KEYS]
const opened: Authority[] = []
after(() => {
  for (const authority of opened) authority.remove()
})
const kept = (authority: Authority) => {
  opened.push(authority)
  return authority
}

test('a certificate is trusted where OpenSSL trusts it, and by the same authorities', async (t) => {
  const openssl = await requirePart(t, 'openssl')
  if (openssl === null) return
  const root = kept(await Authority.create(openssl, 'Root'))
  const stranger = kept(await Authority.create(openssl, 'Root'))
  const middle = kept(await root.below('Middle'))
  const low = kept(await middle.below('Low'))
  const noAuthority = kept(await root.below('No authority', OWN))
  const noSigner = kept(await root.below('No signer', [CA[0]!, 'keyUsage=critical,cRLSign', ...KEYS]))
  const narrow = kept(await root.below('Narrow', ['basicConstraints=critical,CA:TRUE,pathlen:0', CA[1]!, ...KEYS]))
  const belowNarrow = kept(await narrow.below('Below narrow'))
  const bound = kept(
    await root.below('Bound', [
      ...CA,
      ...KEYS,
      'nameConstraints=critical,permitted;DNS:in.test,permitted;email:in.test',
    ]),
  )
  const fake = kept(await stranger.below('Middle'))
  const of = async (authority: Authority, extensions: readonly string[] = [...OWN, 'subjectAltName=DNS:a.in.test']) =>
    (await authority.issue('client', { extensions })).cert
  const usage = (text: string) => [...OWN, `extendedKeyUsage=${text}`]
  const cases: readonly (readonly [what: string, certificates: readonly string[], isGood: boolean])[] = [
    ['of the root', [await of(root)], true],
    ['for clients', [await of(root, usage('clientAuth'))], true],
    ['for clients and servers', [await of(root, usage('serverAuth,clientAuth'))], true],
    ['for servers', [await of(root, usage('serverAuth'))], false],
    ['of the middle, which was sent', [await of(middle), middle.certificate], true],
    ['of the middle, which was not sent', [await of(middle)], false],
    ['of two below', [await of(low), low.certificate, middle.certificate], true],
    [
      'of two below, in another order, with one too many',
      [await of(low), narrow.certificate, middle.certificate, low.certificate],
      true,
    ],
    ['of another root of the same name', [await of(stranger)], false],
    ['of another root, which was sent', [await of(stranger), stranger.certificate], false],
    ['of a fake middle', [await of(fake), fake.certificate], false],
    [
      'of a fake middle, with the real one',
      [await of(fake), middle.certificate, fake.certificate, root.certificate],
      false,
    ],
    ['of one that is no authority', [await of(noAuthority), noAuthority.certificate], false],
    ['of one that may not sign', [await of(noSigner), noSigner.certificate], false],
    ['of one that may have none below it', [await of(narrow), narrow.certificate], true],
    ['of one too low', [await of(belowNarrow), belowNarrow.certificate, narrow.certificate], false],
    ['inside the names that its authority is for', [await of(bound), bound.certificate], true],
    ['outside of them', [await of(bound, [...OWN, 'subjectAltName=DNS:a.out.test']), bound.certificate], false],
    [
      'outside of them by mail',
      [await of(bound, [...OWN, 'subjectAltName=email:me@out.test']), bound.certificate],
      false,
    ],
    [
      'with a critical extension that nobody knows',
      [await of(root, [...OWN, '1.2.3.4=critical,ASN1:UTF8String:x'])],
      false,
    ],
    ['with one that is not critical', [await of(root, [...OWN, '1.2.3.4=ASN1:UTF8String:x'])], true],
  ]
  const anchors = [{ id: 'root', certificate: new X509Certificate(root.certificate) }]
  const judged = (certificates: readonly string[], nowMs = Date.now(), allowsPartial = false, by = anchors) =>
    findTrustedPath(
      certificates.map((text) => new X509Certificate(text)),
      by,
      allowsPartial,
      nowMs,
    )
  for (const [what, certificates, isGood] of cases)
    await t.test(what, async () => {
      const path = await judged(certificates)
      assert.equal(path !== null, isGood)
      assert.equal(await root.accepts(certificates), isGood, 'OpenSSL sees it otherwise')
      if (path !== null) assert.equal(path.anchor.id, 'root')
    })
  await t.test('before and after its time', async () => {
    const certificate = [await of(root)]
    assert.equal(await judged(certificate, Date.now() + 3 * 86_400_000), null)
    assert.equal(await judged(certificate, Date.now() - 86_400_000), null)
  })
  await t.test('of an authority that is itself signed by another, where only that one is trusted', async () => {
    const anchor = [{ id: 'middle', certificate: new X509Certificate(middle.certificate) }]
    const certificate = [await of(middle)]
    assert.equal(await judged(certificate, Date.now(), false, anchor), null)
    assert.equal((await judged(certificate, Date.now(), true, anchor))?.anchor.id, 'middle')
  })
  await t.test('its names are those of the alternative names, else the common name', async () => {
    const names = 'subjectAltName=email:me@in.test,DNS:a.in.test,IP:10.0.0.1,URI:urn:x'
    const path = await judged([await of(root, [...OWN, names])])
    assert.deepEqual(namesOf(path!.parsed[0]!), ['me@in.test', 'a.in.test', 'urn:x'])
    assert.deepEqual(namesOf((await judged([await of(root, OWN)]))!.parsed[0]!), ['client'])
  })
})
