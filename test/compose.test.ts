/** docker-compose.yml, read as an engine would: there is none to try it with. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { readSettings } from '#model/settings/read.ts'

const ROOT = path.resolve(import.meta.dirname, '..')

interface Service {
  readonly image?: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly profiles?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: object
}

function readYaml<T>(file: string): T {
  // Compose merges `<<` as YAML 1.1 does.
  return parse(readFileSync(path.join(ROOT, file), 'utf8'), { merge: true }) as T
}

const compose = readYaml<{
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}>('docker-compose.yml')
const services = Object.entries(compose.services)
const gateways = services.filter(([name]) => name.startsWith('gateway-'))

test('without a profile one gateway is started, and with the cluster two in each data center', () => {
  assert.deepEqual(
    services.filter(([, { profiles }]) => profiles === undefined).map(([name]) => name),
    ['gateway'],
  )
  assert.deepEqual(
    gateways.map(([, { environment }]) => environment?.['MERIDIAN_CASSANDRA_LOCAL_DATACENTER']),
    ['dc1', 'dc1', 'dc2', 'dc2'],
  )
})

test('files and volumes that services name are there', () => {
  const missing: string[] = []
  for (const [name, { image, build, volumes = [] }] of services) {
    assert.ok((image === undefined) !== (build === undefined), `${name} is either an image or built`)
    const files = build === undefined ? [] : [path.join(build.context, build.dockerfile)]
    const named = new Set<string>()
    for (const volume of volumes) {
      const [source = '', target = ''] = volume.split(':')
      assert.ok(target.startsWith('/') && !named.has(target), `${name}: ${volume}`)
      named.add(target)
      if (source.startsWith('.')) files.push(source)
      else if (!(source in compose.volumes)) missing.push(`${name}: volume ${source}`)
    }
    for (const file of files) if (!existsSync(path.join(ROOT, file))) missing.push(`${name}: ${file}`)
  }
  assert.deepEqual(missing, [])
  const used = new Set(services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0])))
  assert.deepEqual(
    Object.keys(compose.volumes).filter((name) => !used.has(name)),
    [],
    'volumes that nobody uses',
  )
})

test('no two gateways have the same data', () => {
  const data = gateways.flatMap(([, { volumes = [] }]) =>
    volumes.filter((volume) => volume.endsWith(':/var/lib/meridian')),
  )
  assert.equal(new Set(data).size, gateways.length)
})

test('services wait for services that there are, for health only where it is asked, and in the same profile', () => {
  for (const [name, { depends_on: needs = {}, profiles = [] }] of services) {
    for (const [needed, { condition }] of Object.entries(needs)) {
      const other = compose.services[needed]
      assert.ok(other, `${name} needs ${needed}`)
      assert.deepEqual(other.profiles ?? [], profiles, `${name} and ${needed}`)
      if (condition === 'service_healthy') assert.ok(other.healthcheck, `${needed} has no health check`)
    }
  }
})

test('ports are published once, on loopback', () => {
  const hostPorts = services.flatMap(([, { ports = [] }]) =>
    ports.map((port) => {
      const [, hostPort = ''] = /^127\.0\.0\.1:(\d+):\d+$/.exec(port) ?? []
      assert.notEqual(hostPort, '', port)
      return hostPort
    }),
  )
  assert.equal(new Set(hostPorts).size, hostPorts.length)
  // Those of the gateway that has the host's network.
  for (const port of ['8000', '8001', '8007', '8443']) assert.ok(!hostPorts.includes(port), port)
})

test('the environment of each gateway is settings that a start takes', () => {
  for (const [name, { build, environment = {} }] of services) {
    for (const [key, value] of Object.entries(environment)) assert.equal(typeof value, 'string', `${name}: ${key}`)
    if (build === undefined || Object.keys(environment).length === 0) continue
    const read = readSettings({ file: null, environment, overrides: {}, workingFolder: '/', cores: 1 })
    assert.ok(read.ok, read.ok ? '' : `${name}: ${read.problems.join('\n')}`)
    assert.deepEqual([read.warnings, read.withoutMeaning], [[], []], name)
    const { cassandra_contact_points: contactPoints, cassandra_local_datacenter: dataCenter } = read.settings
    if (read.settings.database !== 'cassandra') continue
    for (const point of contactPoints)
      assert.equal(compose.services[point]?.environment?.['CASSANDRA_DC'], dataCenter, `${name}: ${point}`)
  }
})

test('what is copied into the image is not kept from it', () => {
  const admitted = readFileSync(path.join(ROOT, '.dockerignore'), 'utf8').split('\n')
  const dockerfile = readFileSync(path.join(ROOT, 'ops', 'Dockerfile'), 'utf8')
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files = '']) => files.split(' '))
  assert.ok(copied.length > 0)
  for (const file of copied) {
    assert.ok(existsSync(path.join(ROOT, file)), file)
    assert.ok(admitted.includes(`!${file}`), file)
  }
})

test('Prometheus asks all gateways of the cluster, by the name of their data center, and Grafana asks Prometheus', () => {
  interface Scraping {
    readonly scrape_configs: readonly {
      readonly static_configs: readonly {
        readonly targets: readonly string[]
        readonly labels: { readonly dc: string }
      }[]
    }[]
  }
  const { scrape_configs: jobs } = readYaml<Scraping>('ops/compose/prometheus.yml')
  const asked = jobs.flatMap((job) =>
    job.static_configs.flatMap(({ targets, labels }) => targets.map((target) => `${labels.dc} ${target}`)),
  )
  const wanted = gateways.map(([name, { environment = {} }]) => {
    const port = /:(\d+)$/.exec(environment['MERIDIAN_STATUS_LISTEN'] ?? '')?.[1]
    return `${environment['MERIDIAN_CASSANDRA_LOCAL_DATACENTER']} ${name}:${port}`
  })
  assert.deepEqual(asked, wanted)
  const { datasources } = readYaml<{ readonly datasources: readonly { readonly url: string }[] }>(
    'ops/compose/grafana-datasource.yml',
  )
  for (const { url } of datasources) assert.ok(new URL(url).hostname in compose.services, url)
})
