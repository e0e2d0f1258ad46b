/** What is ours of the Admin API: revisions, preconditions, the log, going back, and waiting until everybody serves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeView } from '#store/cluster-view.ts'
import { clusterOf, openTestAdmin, type TestAnswer } from '../support/admin.ts'

function revisionOf(answer: TestAnswer): number {
  return Number(answer.headers.get('x-config-revision'))
}

test('every write says its revision, and a read the one that it is not older than', async () => {
  await using admin = await openTestAdmin()
  assert.equal(revisionOf(await admin.call('GET', '/services')), 0)
  assert.equal(revisionOf(await admin.call('POST', '/services', { name: 's', host: 'a' })), 1)
  assert.equal(revisionOf(await admin.call('PATCH', '/services/s', { port: 81 })), 2)
  assert.equal(revisionOf(await admin.call('GET', '/services/s')), 2)
  assert.equal(revisionOf(await admin.call('DELETE', '/services/s')), 3)
  // What changes nothing makes no revision.
  assert.equal(revisionOf(await admin.call('DELETE', '/services/s')), 3)
  const refused = await admin.call('POST', '/services', {})
  assert.deepEqual([refused.status, refused.headers.get('x-config-revision')], [400, null])
  assert.equal((await admin.store.head()).revision, 3)
})

test('a write that names an older revision is refused and changes nothing', async () => {
  await using admin = await openTestAdmin()
  await admin.call('POST', '/services', { name: 's', host: 'a' })
  await admin.call('POST', '/services', { name: 't', host: 'a' })
  const late = await admin.call('PATCH', '/services/s', { port: 81 }, { 'If-Match': '"1"' })
  assert.equal(late.status, 412)
  assert.equal(revisionOf(late), 2)
  assert.equal((await admin.call('GET', '/services/s')).json.port, 80)
  assert.equal((await admin.call('PATCH', '/services/s', { port: 81 }, { 'If-Match': '2' })).status, 200)
  for (const wrong of ['x', 'W/"3"', '-1', '"3", "4"']) {
    assert.equal((await admin.call('PATCH', '/services/s', {}, { 'If-Match': wrong })).status, 400, wrong)
  }
})

test('of many writes that name the same revision one is done', async () => {
  await using admin = await openTestAdmin()
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      admin.call('POST', '/services', { name: `s${i}`, host: 'a' }, { 'If-Match': '0' }),
    ),
  )
  const statuses = answers.map(({ status }) => status)
  assert.deepEqual(
    [statuses.filter((status) => status === 201).length, statuses.filter((status) => status === 412).length],
    [1, 19],
  )
})

test('of many at once that want the same name one gets it, and each gets its own answer', async () => {
  await using admin = await openTestAdmin()
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      admin.call('POST', '/services', { name: i % 2 === 0 ? 'same' : `own-${i}`, host: 'a' }),
    ),
  )
  assert.equal(answers.filter(({ status }) => status === 201).length, 26)
  assert.equal(answers.filter(({ status, json }) => status === 409 && json.code === 5).length, 24)
  for (const { status, json } of answers)
    if (status === 201) assert.equal((await admin.call('GET', `/services/${json.id}`)).json.name, json.name)
})

test('an answer says when the change is not serving on every worker yet', async () => {
  const serving = { waitFor: async (_: number, timeoutMs: number) => timeoutMs < 1, revision: 0 }
  await using admin = await openTestAdmin({ overrides: { serving } })
  const answer = await admin.call('POST', '/services', { host: 'a' })
  assert.deepEqual([answer.status, answer.headers.get('x-config-serving'), revisionOf(answer)], [201, 'pending', 1])
})

test('the log lists transactions newest first, in pages', async () => {
  await using admin = await openTestAdmin()
  for (let i = 1; i <= 5; i++) await admin.call('PUT', `/services/s${i}`, { host: 'a' })
  const first = (await admin.call('GET', '/log?size=2')).json
  assert.deepEqual(
    first.data.map(({ revision }: any) => revision),
    [5, 4],
  )
  assert.deepEqual(
    first.data[0].changes.map(({ action, kind }: any) => [action, kind]),
    [['create', 'services']],
  )
  assert.equal(first.data[0].previous_hash, first.data[1].hash)
  const second = (await admin.call('GET', first.next)).json
  assert.deepEqual(
    second.data.map(({ revision }: any) => revision),
    [3, 2],
  )
  const third = (await admin.call('GET', second.next)).json
  assert.deepEqual([third.data.map(({ revision }: any) => revision), third.next], [[1], null])
  assert.equal((await admin.call('GET', '/log?offset=x')).status, 400)
})

test('a transaction is found by its revision and by its id, with who did it', async () => {
  await using admin = await openTestAdmin()
  const made = await admin.call('POST', '/services', { name: 's', host: 'a' })
  const byRevision = (await admin.call('GET', '/log/1')).json
  const byId = (await admin.call('GET', `/log/tx/${made.headers.get('x-config-transaction')}`)).json
  assert.equal(byId.outcome, 'committed')
  assert.equal(byId.revision, 1)
  assert.deepEqual(
    [byRevision.actor, byRevision.via, byRevision.address, byRevision.request_id],
    ['local', 'admin', '127.0.0.1', made.headers.get('x-kong-request-id')],
  )
  assert.deepEqual([byRevision.changes[0].before, byRevision.changes[0].after.name], [null, 's'])
  assert.equal((await admin.call('GET', '/log/99')).status, 404)
  assert.equal((await admin.call('GET', '/log/nope')).status, 400)
  assert.equal((await admin.call('GET', '/log/tx/none')).json.outcome, 'unknown')
})

test('neither log nor diff shows a secret, but a diff shows that it changed', async () => {
  await using admin = await openTestAdmin()
  await admin.call('PUT', '/consumers/alice', {})
  await admin.call('PUT', '/consumers/alice/key-auth/first-secret', {})
  await admin.call('PATCH', '/key-auths/first-secret', { key: 'second-secret' })
  await admin.call('POST', '/consumers/alice/basic-auth', { username: 'u', password: 'third-secret' })
  for (const path of [
    '/log',
    '/log/2',
    '/log/3',
    '/log/4',
    '/log/diff?from=0',
    '/log/diff?from=2&to=3',
    '/log/diff?from=4&to=0',
  ]) {
    const answer = await admin.call('GET', path)
    assert.equal(answer.status, 200, path)
    assert.doesNotMatch(answer.text, /(first|second|third)-secret/, path)
  }
  const diff = (await admin.call('GET', '/log/diff?from=2&to=3')).json
  assert.deepEqual(
    diff.changes.map(({ kind, change, fields }: any) => [kind, change, fields.map(({ field }: any) => field)]),
    [['keyauth_credentials', 'updated', ['key']]],
  )
})

test('a rollback makes the configuration what it was, as a new revision', async () => {
  await using admin = await openTestAdmin()
  await admin.call('PUT', '/services/s', { host: 'a' })
  await admin.call('PUT', '/routes/r', { paths: ['/'], service: { name: 's' } })
  const before = [(await admin.call('GET', '/services')).json.data, (await admin.call('GET', '/routes')).json.data]
  await admin.call('PATCH', '/services/s', { host: 'b', name: 'renamed' })
  await admin.call('DELETE', '/routes/r')
  await admin.call('PUT', '/services/s', { host: 'c' })
  const back = await admin.call('POST', '/log/rollback', { revision: 2 })
  assert.deepEqual([back.status, revisionOf(back), back.json.rolled_back_to], [200, 6, 2])
  assert.deepEqual(
    [(await admin.call('GET', '/services')).json.data, (await admin.call('GET', '/routes')).json.data],
    before,
  )
  assert.equal((await admin.call('GET', '/log/6')).json.via, 'rollback')
  assert.deepEqual((await admin.call('GET', '/log/diff?from=2&to=6')).json.changes, [])
  // There already: nothing to do.
  assert.equal(revisionOf(await admin.call('POST', '/log/rollback', { revision: 2 })), 6)
})

test('a rollback to a revision that is not there, or is no revision, is refused', async () => {
  await using admin = await openTestAdmin()
  for (const body of [{}, { revision: 5 }, { revision: -1 }, { revision: 'x' }, { revision: 1.5 }]) {
    assert.equal((await admin.call('POST', '/log/rollback', body)).status, 400, JSON.stringify(body))
  }
  assert.equal(
    (await admin.call('POST', '/log/rollback', 'revision=0', { 'Content-Type': 'application/x-www-form-urlencoded' }))
      .status,
    200,
  )
})

test('waiting for a revision answers when every node serves it, or says who lags', async () => {
  const near = { node_id: 'near', hostname: 'near', applied_revision: 2, serving_revision: 2, hash: 'h2' }
  const far = { node_id: 'far', hostname: 'far', data_center: 'dc2', applied_revision: 2, serving_revision: 1 }
  let nodes: Partial<NodeView>[] = [near, far]
  await using admin = await openTestAdmin({ overrides: { cluster: clusterOf(() => nodes) } })
  await admin.call('PUT', '/services/s', { host: 'a' })
  assert.deepEqual((await admin.call('GET', '/cluster/revision')).json.nodes, [
    { node_id: 'near', hostname: 'near', data_center: 'dc1', revision: 2, hash: 'h2' },
    { node_id: 'far', hostname: 'far', data_center: 'dc2', revision: 1, hash: null },
  ])
  assert.equal((await admin.call('GET', '/cluster/revision?wait=1')).status, 200)
  const late = await admin.call('GET', '/cluster/revision?wait=2&timeout=0.05')
  assert.deepEqual([late.status, late.json.lagging], [409, ['far']])
  const waiting = admin.call('GET', '/cluster/revision?wait=2')
  nodes = [near, { ...far, serving_revision: 2 }]
  assert.equal((await waiting).status, 200)
  for (const query of ['wait=x', 'wait=-1', 'wait=1&wait=2', 'wait=1&timeout=x', 'timeout=301'])
    assert.equal((await admin.call('GET', `/cluster/revision?${query}`)).status, 400, query)
})

test('a node that is down is not waited for but named; one that can not be seen is not known to serve anything', async () => {
  const served = { applied_revision: 2, serving_revision: 2 }
  const nodes: Partial<NodeView>[] = [
    { ...served, node_id: 'a', is_self: true },
    { node_id: 'b', serving_revision: 1, status: 'down' },
  ]
  await using admin = await openTestAdmin({ overrides: { cluster: clusterOf(() => nodes) } })
  const { status, json } = await admin.call('GET', '/cluster/revision?wait=2&timeout=0')
  assert.deepEqual([status, json.lagging, json.down], [200, [], ['b']])
  nodes[1] = { ...served, node_id: 'b', status: 'unknown' }
  const unseen = await admin.call('GET', '/cluster/revision?wait=2&timeout=0')
  assert.deepEqual([unseen.status, unseen.json.lagging], [409, ['b']])
})

test('the list of nodes says per data center what each is, serves and understands', async () => {
  const nodes: Partial<NodeView>[] = [
    { node_id: 'a', is_self: true, applied_revision: 7, serving_revision: 7, address: '10.0.0.1:8001' },
    {
      node_id: 'b',
      data_center: 'dc2',
      serving_revision: 4,
      epoch: 2,
      draining: true,
      started_at_ms: 1_700_000_000_000,
    },
    { node_id: 'c', data_center: 'dc2', serving_revision: -1, status: 'down', address: '10.0.0.3:8000' },
  ]
  await using admin = await openTestAdmin({ overrides: { cluster: clusterOf(() => nodes) } })
  const { json } = await admin.call('GET', '/cluster/nodes')
  assert.partialDeepStrictEqual(json, {
    revision: 7,
    data_centers: [
      {
        name: 'dc1',
        nodes: [{ node_id: 'a', state: 'ready', revision: 7, lag: 0, epoch: null, address: '10.0.0.1:8001' }],
      },
      {
        name: 'dc2',
        nodes: [
          { node_id: 'b', state: 'draining', revision: 4, lag: 3, epoch: 2, started_at: '2023-11-14T22:13:20.000Z' },
          { node_id: 'c', state: 'down', revision: -1, lag: 7, address: '10.0.0.3:8000', started_at: null },
        ],
      },
    ],
  })
})

test('the description of a request is handed on to who explains routes, and mistakes in it are named', async () => {
  await using admin = await openTestAdmin()
  const { json } = await admin.call(
    'GET',
    '/debug/route?method=POST&scheme=https&host=a.test:8443&path=/x%3Fq=1&sni=a.test&header.x-a=1&header.x-a=2',
  )
  assert.deepEqual(json.request, {
    method: 'POST',
    scheme: 'https',
    host: 'a.test:8443',
    path: '/x',
    query: 'q=1',
    sni: 'a.test',
    headers: [
      ['x-a', '1'],
      ['x-a', '2'],
    ],
  })
  for (const query of ['method=G%20T', 'scheme=ftp', 'path=x', 'nope=1', 'header.=1', 'host=a&host=b'])
    assert.equal((await admin.call('GET', `/debug/route?${query}`)).status, 400, query)
})
