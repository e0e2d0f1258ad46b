/** http-cache-tests, the tests of cache-tests.fyi: each by its id, against one cache in front of the suite's own server. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { runChild } from '../support/process.ts'

type Handle = (segments: string[], request: IncomingMessage, response: ServerResponse) => void

export interface CacheTest {
  readonly id: string
  /** `required` where a cache that does otherwise breaks the RFC; else `optimal` or `check`. */
  readonly kind: string
  readonly name: string
}

export interface CacheSuite {
  readonly folder: string
  readonly tests: readonly CacheTest[]
}

/** By id: passed, or why not; `setup` when the test could not be made. */
export type CacheResults = ReadonlyMap<string, true | { readonly isSetup: boolean; readonly message: string }>

const RUN_MS = 240_000

async function load<T>(folder: string, file: string): Promise<T> {
  return ((await import(pathToFileURL(path.join(folder, file)).href)) as { default: T }).default
}

/** `folder` is that of the package. */
export async function loadSuite(folder: string): Promise<CacheSuite> {
  const suites = await load<{ tests: { id: string; kind?: string; name: string; browser_only?: boolean }[] }[]>(
    folder,
    'tests/index.mjs',
  )
  const tests = suites.flatMap((suite) =>
    suite.tests
      .filter((test) => test.browser_only !== true)
      .map(({ id, name, kind = 'required' }) => ({ id, name, kind })),
  )
  return { folder, tests }
}

/** The server that the tests tell how to answer. */
export async function startCacheOrigin({ folder }: CacheSuite): Promise<{ readonly port: number; close(): void }> {
  const handlers = new Map<string, Handle>()
  for (const name of ['config', 'test', 'state']) handlers.set(name, await load(folder, `server/handle-${name}.mjs`))
  const server = createServer((request, response) => {
    const [name = '', ...segments] = new URL(request.url ?? '/', 'http://localhost').pathname.slice(1).split('/')
    const handle = handlers.get(name)
    if (handle === undefined) response.writeHead(404).end()
    else handle(segments, request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { port: (server.address() as AddressInfo).port, close }
}

export async function runCacheTests({ folder }: CacheSuite, port: number): Promise<CacheResults> {
  const { output } = await runChild({
    command: process.execPath,
    args: ['--no-warnings', 'cli.mjs'],
    cwd: folder,
    env: { ...process.env, npm_config_base: `http://127.0.0.1:${port}`, npm_config_id: '', npm_package_config_id: '' },
    name: 'http-cache-tests',
    timeoutMs: RUN_MS,
  })
  const at = output.search(/^\{$/m)
  if (at < 0) throw new Error(`http-cache-tests did not run to its end\n${output.slice(-2000)}`)
  const results = JSON.parse(output.slice(at)) as Record<string, true | readonly [string, string]>
  return new Map(
    Object.entries(results).map(([id, result]) => [
      id,
      result === true ? result : { isSetup: result[0] === 'Setup', message: result[1] },
    ]),
  )
}

export function passed({ tests }: CacheSuite, results: CacheResults, kind?: string): CacheTest[] {
  return tests.filter((test) => (kind === undefined || test.kind === kind) && results.get(test.id) === true)
}
