/** The same thing done in two data centers at the same instant: one wins, and nothing is there twice, lost or dangling. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agree, startBed } from '../support/cluster.ts'
import { effort } from '../support/effort.ts'
import type { Reply } from '../support/ask.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'

const TRIES = effort(10, 200)
/** Of those a real Kong left 132, 152, 137, 178 and 44 in 200 tries. */
const tries = Array.from({ length: TRIES }, (_, n) => n)

test('races between two data centers', async (t) => {
  const place = await sharedCassandra(t)
  if (!place) return
  await using bed = await startBed(place)
  const one = await bed.start('one', 'dc1')
  const two = await bed.start('two', 'dc2')

  /** Both are sent before either is answered. */
  const race = async (first: Promise<Reply>, second: Promise<Reply>) => {
    const replies = await Promise.all([first, second])
    return replies.map(({ status }) => status).toSorted((a, b) => a - b)
  }
  const listed = async (target: string) => {
    const all: Record<string, unknown>[] = []
    for (let next: string | null = target; next !== null;) {
      const { json }: Reply = await one.admin('GET', next)
      all.push(...(json.data as Record<string, unknown>[]))
      next = json.next as string | null
    }
    return all
  }
  const doubles = (values: readonly unknown[]) => values.length - new Set(values).size

  const races: readonly {
    readonly name: string
    readonly list: string
    readonly field: string
    readonly send: (node: typeof one, n: number) => Promise<Reply>
  }[] = [
    {
      name: 'a service of one name',
      list: '/services?size=1000',
      field: 'name',
      send: (node, n) => node.admin('POST', '/services', { name: `s-${n}`, host: 'a.example.test' }),
    },
    {
      name: 'a consumer of one name',
      list: '/consumers?size=1000',
      field: 'username',
      send: (node, n) => node.admin('POST', '/consumers', { username: `c-${n}` }),
    },
    {
      name: 'a key for two consumers',
      list: '/key-auths?size=1000',
      field: 'key',
      send: (node, n) => node.admin('POST', `/consumers/c-${node === one ? 0 : 1}/key-auth`, { key: `k-${n}` }),
    },
  ]
  for (const { name, list, field, send } of races) {
    await t.test(`${name}, made twice at once, is there once (${TRIES} tries)`, async (t) => {
      for (const n of tries) assert.deepEqual(await race(send(one, n), send(two, n)), [201, 409], `try ${n}`)
      const values = (await listed(list)).map((entity) => entity[field])
      t.diagnostic(`${TRIES} tries, ${doubles(values)} duplicates`)
      assert.equal(values.length, TRIES)
      assert.equal(doubles(values), 0)
    })
  }

  await t.test(`two changes of different fields of one service are both kept (${TRIES} tries)`, async (t) => {
    let both = 0
    for (const n of tries) {
      const statuses = await race(
        one.admin('PATCH', '/services/s-0', { retries: n }),
        two.admin('PATCH', '/services/s-0', { read_timeout: 1000 + n }),
      )
      assert.ok([200, 409, 412].includes(statuses[1]!), `try ${n}: ${statuses.join()}`)
      if (statuses[1] !== 200) continue
      both++
      await agree([one, two])
      const { json } = await one.admin('GET', '/services/s-0')
      assert.deepEqual([json.retries, json.read_timeout], [n, 1000 + n], `try ${n}: an update is lost`)
    }
    t.diagnostic(`${TRIES} tries, both acknowledged in ${both}, 0 updates lost`)
  })

  await t.test(
    `a service that is deleted while a route is made for it leaves none dangling (${TRIES} tries)`,
    async (t) => {
      const won = { deletion: 0, route: 0 }
      for (const n of tries) {
        const { id } = await one.change('POST', '/services', { name: `d-${n}`, host: 'a.example.test' })
        await one.allServe()
        const [deletion, route] = await Promise.all([
          one.admin('DELETE', `/services/${id}`),
          two.admin('POST', '/routes', { name: `d-${n}`, paths: [`/d-${n}`], service: { id } }),
        ])
        assert.ok((deletion.status === 204) !== (route.status === 201), `try ${n}: ${deletion.status}, ${route.status}`)
        won[deletion.status === 204 ? 'deletion' : 'route']++
      }
      await agree([one, two])
      const services = new Set((await listed('/services?size=1000')).map(({ id }) => id))
      const routes = await listed('/routes?size=1000')
      const dangling = routes.filter(({ service }) => !services.has((service as { id: string }).id))
      t.diagnostic(`${TRIES} tries, ${won.deletion} deletions and ${won.route} routes won, ${dangling.length} dangling`)
      assert.deepEqual(dangling, [])
      assert.equal(routes.length, won.route)
      // A router that can be built again: what is made now is served.
      await bed.route(one, 'afterwards')
      await one.allServe()
      assert.equal((await two.proxy('/afterwards')).status, 200)
    },
  )
})
