/** docker-compose.cluster.yml, read as an engine would read it: this machine may have none. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { readSettings } from '#model/settings/read.ts'
import { settings } from '#model/settings.ts'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
const FILE = 'docker-compose.cluster.yml'

interface Service {
  readonly image?: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly environment?: Readonly<Record<string, string | number>>
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: object
}

const read = (file: string) =>
  parse(readFileSync(path.join(ROOT, file), 'utf8'), { strict: true, uniqueKeys: true, merge: true }) as unknown
const compose = read(FILE) as {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}
const services = Object.entries(compose.services)
const gateways = services.filter(([name]) => name.startsWith('gateway-'))

test('two data centers have a Cassandra, a Redis and two gateways each', () => {
  for (const dataCenter of ['dc1', 'dc2']) {
    const names = services.map(([name]) => name).filter((name) => name.includes(dataCenter))
    assert.deepEqual(
      names,
      [`cassandra-${dataCenter}`, `redis-${dataCenter}`, `gateway-${dataCenter}-a`, `gateway-${dataCenter}-b`].toSorted(
        (one, other) => names.indexOf(one) - names.indexOf(other),
      ),
    )
  }
})

test('volumes, files and services that it names are there, and no two services want one port', () => {
  const ports: string[] = []
  for (const [name, { image, build, volumes = [], depends_on: needed = {}, ...rest }] of services) {
    assert.ok(image !== undefined || build !== undefined, name)
    if (build) assert.ok(existsSync(path.join(ROOT, build.context, build.dockerfile)), name)
    for (const volume of volumes) {
      const [source = ''] = volume.split(':')
      const isThere = source.startsWith('./') ? existsSync(path.join(ROOT, source)) : source in compose.volumes
      assert.ok(isThere, `${name}: ${source}`)
    }
    for (const [other, { condition }] of Object.entries(needed)) {
      assert.ok(other in compose.services, `${name} depends on ${other}`)
      if (condition === 'service_healthy')
        assert.ok(compose.services[other]?.healthcheck, `${other} has no healthcheck`)
    }
    for (const port of rest.ports ?? []) {
      assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, `${name}: reachable from elsewhere than this machine`)
      ports.push(port.slice(0, port.lastIndexOf(':')))
    }
  }
  assert.deepEqual(ports, [...new Set(ports)])
})

test('the environment of the gateways is settings that exist, with values that they take', () => {
  for (const [name, { environment = {} }] of services) {
    for (const key of Object.keys(environment).filter((one) => one.startsWith('MERIDIAN_')))
      assert.ok(settings.has(key.slice('MERIDIAN_'.length).toLowerCase()), `${name}: ${key}`)
  }
  for (const [name, { environment = {} }] of gateways) {
    const result = readSettings({
      file: null,
      environment: Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, String(value)])),
      overrides: {},
      workingFolder: ROOT,
      cores: 2,
    })
    assert.ok(result.ok, `${name}: ${result.ok ? '' : result.problems.join('; ')}`)
    assert.equal(result.settings.cassandra_local_datacenter, /^gateway-(dc\d)/.exec(name)?.[1])
  }
})

test('Prometheus asks every gateway, by the port that it listens on', () => {
  const { scrape_configs: jobs } = read('ops/cluster/prometheus.yml') as {
    readonly scrape_configs: readonly { readonly static_configs: readonly { readonly targets: readonly string[] }[] }[]
  }
  const targets = jobs.flatMap((job) => job.static_configs.flatMap((one) => one.targets))
  assert.deepEqual(
    targets,
    gateways.map(
      ([name, { environment }]) => `${name}:${String(environment?.['MERIDIAN_STATUS_LISTEN']).split(':')[1]}`,
    ),
  )
  const { datasources } = read('ops/cluster/grafana-datasource.yml') as {
    readonly datasources: { readonly url: string }[]
  }
  assert.equal(datasources[0]?.url, 'http://prometheus:9090')
})
