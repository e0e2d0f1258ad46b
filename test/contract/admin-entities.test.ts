/** What of the entity endpoints the recorded answers of Kong do not show: workspaces, groups, and that a request is one change. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generate } from 'selfsigned'
import { openTestAdmin } from '../support/admin.ts'

test('a workspace has entities of its own under its name, and is deleted only when it is empty', async () => {
  await using admin = await openTestAdmin()
  const team = await admin.call('POST', '/workspaces', { name: 'team' })
  assert.equal(team.status, 201)
  assert.equal((await admin.call('POST', '/team/services', { name: 's', host: 'theirs' })).status, 201)
  assert.equal((await admin.call('POST', '/services', { name: 's', host: 'ours' })).status, 201)
  assert.equal((await admin.call('GET', '/team/services/s')).json.host, 'theirs')
  assert.equal((await admin.call('GET', `/${team.json.id}/services/s`)).json.host, 'theirs')
  assert.equal((await admin.call('GET', '/services/s')).json.host, 'ours')
  assert.equal((await admin.call('GET', '/default/services/s')).json.host, 'ours')
  assert.deepEqual((await admin.call('GET', '/team/services')).json.data.length, 1)
  const id = (await admin.call('GET', '/team/services/s')).json.id
  assert.equal((await admin.call('GET', `/services/${id}`)).status, 404)
  assert.equal((await admin.call('PATCH', `/services/${id}`, { port: 1 })).status, 404)
  assert.equal((await admin.call('GET', '/nobody/services')).status, 404)
  assert.equal((await admin.call('GET', '/team/status')).status, 404)
  assert.equal((await admin.call('GET', '/workspaces/team/meta')).json.counts.services, 1)

  const full = await admin.call('DELETE', '/workspaces/team')
  assert.deepEqual([full.status, full.json.message], [400, 'Workspace is not empty: it has services'])
  await admin.call('DELETE', '/team/services/s')
  assert.equal((await admin.call('DELETE', '/workspaces/team')).status, 204)
  assert.equal((await admin.call('GET', '/team/services')).status, 404)
})

test('a reference does not reach into another workspace', async () => {
  await using admin = await openTestAdmin()
  await admin.call('POST', '/workspaces', { name: 'team' })
  const { id } = (await admin.call('POST', '/team/services', { name: 's', host: 'a' })).json
  assert.equal((await admin.call('POST', '/routes', { paths: ['/'], service: { id } })).json.code, 4)
  assert.equal((await admin.call('POST', '/routes', { paths: ['/'], service: { name: 's' } })).json.code, 13)
})

test('consumers join and leave groups by name or id, from both sides', async () => {
  await using admin = await openTestAdmin()
  const gold = (await admin.call('POST', '/consumer_groups', { name: 'gold', tags: ['t'] })).json
  for (const name of ['alice', 'bob', 'carol']) await admin.call('PUT', `/consumers/${name}`, {})
  const joined = await admin.call('POST', '/consumer_groups/gold/consumers', { consumer: ['alice', 'bob'] })
  assert.equal(joined.status, 201)
  assert.deepEqual(
    [joined.json.consumer_group.id, joined.json.consumers.map(({ username }: any) => username)],
    [gold.id, ['alice', 'bob']],
  )
  assert.equal(
    (await admin.call('POST', '/consumers/carol/consumer_groups', { group: 'gold' })).json.consumer_groups[0].name,
    'gold',
  )
  assert.equal((await admin.call('POST', '/consumer_groups/gold/consumers', { consumer: 'alice' })).status, 409)

  const names = async (path: string, key = 'data') =>
    (await admin.call('GET', path)).json[key].map((one: any) => one.username ?? one.name).toSorted()
  assert.deepEqual(await names(`/consumer_groups/${gold.id}/consumers`), ['alice', 'bob', 'carol'])
  assert.deepEqual(await names('/consumers/bob/consumer_groups'), ['gold'])
  assert.deepEqual(await names('/consumer_groups/gold', 'consumers'), ['alice', 'bob', 'carol'])
  assert.equal((await admin.call('GET', '/consumer_groups/gold?list_consumers=false')).json.consumers, undefined)
  assert.equal((await admin.call('GET', '/consumer_groups/gold/consumers/bob')).status, 200)

  assert.equal((await admin.call('DELETE', '/consumer_groups/gold/consumers/bob')).status, 204)
  assert.equal((await admin.call('DELETE', '/consumer_groups/gold/consumers/bob')).status, 404)
  assert.equal((await admin.call('DELETE', '/consumers/carol/consumer_groups')).status, 204)
  assert.deepEqual(await names('/consumer_groups/gold/consumers'), ['alice'])
  assert.equal((await admin.call('DELETE', '/consumer_groups/gold')).status, 204)
  assert.deepEqual(await names('/consumers/alice/consumer_groups'), [])
})

test('a group is joined by everybody who is named or by nobody', async () => {
  await using admin = await openTestAdmin()
  await admin.call('PUT', '/consumer_groups/gold', {})
  await admin.call('PUT', '/consumers/alice', {})
  assert.equal(
    (await admin.call('POST', '/consumer_groups/gold/consumers', { consumer: ['alice', 'nobody'] })).status,
    404,
  )
  for (const body of [{}, { consumer: '' }, { consumer: [] }, { consumer: 5 }])
    assert.equal((await admin.call('POST', '/consumer_groups/gold/consumers', body)).status, 400)
  assert.deepEqual((await admin.call('GET', '/consumer_groups/gold/consumers')).json.data, [])
})

test('a plugin of a group says so, and others do not mention groups', async () => {
  await using admin = await openTestAdmin()
  const { id } = (await admin.call('PUT', '/consumer_groups/gold', {})).json
  const made = await admin.call('POST', '/consumer_groups/gold/plugins', {
    name: 'rate-limiting',
    config: { minute: 1 },
  })
  assert.deepEqual([made.status, made.json.consumer_group], [201, { id }])
  assert.equal((await admin.call('GET', '/consumer_groups/gold')).json.plugins[0].id, made.json.id)
  assert.ok(!('consumer_group' in (await admin.call('POST', '/plugins', { name: 'cors' })).json))
})

test('a certificate and its server names change together, or not at all', async () => {
  await using admin = await openTestAdmin()
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'a.test' }], { keyType: 'ec' })
  const made = await admin.call('POST', '/certificates', { cert, key, snis: ['b.test', 'a.test'] })
  assert.deepEqual([made.json.snis, made.headers.get('x-config-revision')], [['a.test', 'b.test'], '1'])
  const changed = await admin.call('PATCH', `/certificates/${made.json.id}`, { snis: ['b.test', 'c.test'] })
  assert.deepEqual([changed.json.snis, changed.headers.get('x-config-revision')], [['b.test', 'c.test'], '2'])
  assert.equal(
    (await admin.call('PATCH', `/certificates/${made.json.id}`, { snis: ['d.test', 'a b'], tags: ['x'] })).status,
    400,
  )
  assert.equal((await admin.call('POST', '/certificates', { cert, key, snis: ['e.test', 'c.test'] })).status, 400)
  assert.equal(
    (await admin.call('POST', '/certificates', { cert, key, snis: ['e.test', 'e.test'] })).json.fields.snis,
    'e.test is duplicated',
  )
  assert.deepEqual((await admin.call('GET', '/snis')).json.data.map(({ name }: any) => name).toSorted(), [
    'b.test',
    'c.test',
  ])
  assert.equal((await admin.call('GET', '/certificates/c.test')).json.tags, null)
  assert.equal((await admin.call('DELETE', '/certificates/c.test')).headers.get('x-config-revision'), '3')
})

test('an entity that another one points to is made and linked as one change', async () => {
  await using admin = await openTestAdmin()
  await admin.call('PUT', '/routes/r', { paths: ['/'] })
  const service = await admin.call('PUT', '/routes/r/service', { name: 's', host: 'a' })
  assert.deepEqual([service.status, service.headers.get('x-config-revision')], [200, '2'])
  assert.deepEqual((await admin.call('GET', '/routes/r')).json.service, { id: service.json.id })
  const again = await admin.call('PUT', '/routes/r/service', { name: 's', host: 'b' })
  assert.deepEqual([again.json.id, again.json.host], [service.json.id, 'b'])
})

test('tags are listed over all kinds, in pages that lose and repeat nothing', async () => {
  await using admin = await openTestAdmin()
  for (let i = 0; i < 5; i++) {
    await admin.call('POST', '/services', { host: 'a', tags: [`t${i}`, 'all', 'x'] })
    await admin.call('POST', '/consumers', { username: `c${i}`, tags: ['all'] })
  }
  const walk = async (path: string): Promise<string[]> => {
    const found: string[] = []
    for (let next: string | null = path; next !== null;) {
      const { json }: { json: any } = await admin.call('GET', `${next}${next.includes('?') ? '&' : '?'}size=3`)
      assert.ok(json.data.length <= 3)
      found.push(...json.data.map((one: any) => `${one.entity_name} ${one.entity_id} ${one.tag}`))
      next = json.next
    }
    return found
  }
  const all = await walk('/tags')
  assert.deepEqual([all.length, new Set(all).size], [20, 20])
  assert.equal(new Set(await walk('/tags/all')).size, 10)
  assert.equal((await admin.call('GET', '/tags?offset=nope')).status, 400)
})

test('an offset goes on after the row that it names, whatever came and went', async () => {
  await using admin = await openTestAdmin()
  const id = (n: number) => `00000000-0000-4000-8000-00000000000${n}`
  for (const n of [1, 2, 3, 5]) await admin.call('PUT', `/services/${id(n)}`, { host: 'a' })
  const first = (await admin.call('GET', '/services?size=2')).json
  await admin.call('DELETE', `/services/${id(2)}`)
  await admin.call('PUT', `/services/${id(4)}`, { host: 'a' })
  const second = (await admin.call('GET', first.next)).json
  assert.deepEqual(
    [second.data.map((one: any) => one.id), second.next],
    [[id(3), id(4)], `/services?offset=${second.offset}&size=2`],
  )
})

test('a credential counts its seconds down, and is gone at its end', async () => {
  let nowMs = Date.parse('2030-01-01T00:00:00Z')
  await using admin = await openTestAdmin({ nowMs: () => nowMs })
  await admin.call('PUT', '/consumers/alice', {})
  assert.equal((await admin.call('POST', '/consumers/alice/key-auth', { key: 'k', ttl: 100 })).json.ttl, 100)
  nowMs += 60_000
  assert.equal((await admin.call('GET', '/key-auths/k')).json.ttl, 40)
  nowMs += 40_000
  assert.equal((await admin.call('GET', '/key-auths/k')).status, 404)
  assert.deepEqual((await admin.call('GET', '/consumers/alice/key-auth')).json.data, [])
  assert.equal((await admin.call('POST', '/consumers/alice/key-auth', { key: 'k' })).status, 201)
})

test('a time to live that is none is refused as an option', async () => {
  await using admin = await openTestAdmin()
  await admin.call('PUT', '/consumers/alice', {})
  const wrong = await admin.call('POST', '/consumers/alice/key-auth', { ttl: -1 })
  assert.deepEqual(
    [wrong.status, wrong.json.code, wrong.json.options.ttl],
    [400, 11, 'must be an integer between 0 and 100000000'],
  )
})

test('what a gateway without the plugin can not run has no endpoints, and is refused by name', async () => {
  await using admin = await openTestAdmin({ built: ['key-auth'] })
  assert.equal((await admin.call('GET', '/basic-auths')).status, 404)
  assert.equal((await admin.call('GET', '/key-auths')).status, 200)
  assert.match(
    (await admin.call('POST', '/plugins', { name: 'basic-auth' })).json.fields.name,
    /basic-auth.*not available/,
  )
  assert.deepEqual((await admin.call('GET', '/plugins/enabled')).json.enabled_plugins, ['key-auth'])
})

test('without a database a configuration is loaded as one, or refused as a whole', async () => {
  await using admin = await openTestAdmin({ isDatabase: false })
  const file = {
    _format_version: '3.0',
    services: [{ name: 's', host: 'a', routes: [{ name: 'r', paths: ['/'] }] }],
    consumers: [{ username: 'alice' }],
  }
  assert.equal((await admin.call('POST', '/config', file)).status, 201)
  const wrong = await admin.call('POST', '/config?flatten_errors=1', {
    _format_version: '3.0',
    services: [{ name: 't', host: 'a', port: -1 }],
  })
  assert.equal(wrong.status, 400)
  assert.equal(wrong.json.flattened_errors[0].errors[0].field, 'port')
  assert.deepEqual(
    (await admin.call('GET', '/services')).json.data.map(({ name }: any) => name),
    ['s'],
  )
  assert.equal((await admin.call('POST', '/services', { host: 'a' })).json.code, 12)
  assert.equal((await admin.call('DELETE', '/consumers/alice')).status, 405)
  const { config } = (await admin.call('GET', '/config')).json
  assert.equal((await admin.call('POST', '/config', config, { 'Content-Type': 'text/yaml' })).status, 201)
  assert.equal((await admin.call('POST', '/config?check_hash=1', config, { 'Content-Type': 'text/yaml' })).status, 304)
  assert.equal((await admin.call('POST', '/config', { _format_version: '3.0' })).status, 201)
  assert.deepEqual((await admin.call('GET', '/consumers')).json.data, [])
})

test('with a database there is no declarative endpoint', async () => {
  await using admin = await openTestAdmin()
  for (const method of ['GET', 'POST'])
    assert.equal(
      (await admin.call(method, '/config', method === 'POST' ? { _format_version: '3.0' } : undefined)).status,
      400,
    )
})

test('metrics are there in the form of Prometheus', async () => {
  await using admin = await openTestAdmin()
  const answer = await admin.call('GET', '/metrics')
  assert.equal(answer.text, '# TYPE up gauge\nup 1\n')
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
})
