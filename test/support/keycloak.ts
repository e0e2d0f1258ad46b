/** A real Keycloak on a free port of loopback, unpacked anew for each start: it builds itself into its own folder. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePort } from './free-port.ts'
import { runChild, startChild } from './process.ts'

export interface KeycloakProgram {
  /** The `java` that runs it. */
  readonly command: string
  /** The zip of its distribution. */
  readonly archive: string
}

/** It builds itself, with all that it has, before it starts. */
const START_TIMEOUT_MS = 600_000
/** It is not there for long enough to be worth compiling well. */
const FAST_START = '-XX:TieredStopAtLevel=1'
const UNPACK_TIMEOUT_MS = 120_000

/** @param realm as Keycloak exports it; the only one besides its own */
export async function startKeycloak({ command, archive }: KeycloakProgram, realm: { readonly realm: string }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-keycloak-'))
  try {
    const unpacked = await runChild({
      command: 'unzip',
      args: ['-q', archive, '-d', folder],
      timeoutMs: UNPACK_TIMEOUT_MS,
    })
    if (unpacked.code !== 0) throw new Error(`unzip ended with exit code ${unpacked.code}\n${unpacked.output}`)
    const [name = ''] = readdirSync(folder)
    const home = path.join(folder, name)
    mkdirSync(path.join(home, 'data', 'import'), { recursive: true })
    writeFileSync(path.join(home, 'data', 'import', `${realm.realm}.json`), JSON.stringify(realm))
    return await start(command, home, realm.realm, folder)
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

async function start(java: string, home: string, realm: string, folder: string) {
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}/realms/${realm}`
  const child = await startChild({
    command: path.join(home, 'bin', 'kc.sh'),
    args: ['start-dev', '--import-realm', '--http-host=127.0.0.1', `--http-port=${port}`],
    env: {
      ...process.env,
      JAVA_HOME: path.dirname(path.dirname(java)),
      JAVA_OPTS_KC_HEAP: '-Xmx512m',
      JAVA_OPTS_APPEND: FAST_START,
    },
    name: 'keycloak',
  })
  const stop = async (): Promise<void> => {
    await child.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  const isThere = () =>
    fetch(`${issuer}/.well-known/openid-configuration`, { signal: AbortSignal.timeout(10_000) }).then(
      ({ ok }) => ok,
      () => false,
    )
  try {
    await child.waitUntil('ready', isThere, START_TIMEOUT_MS)
  } catch (error) {
    await stop()
    throw error
  }
  return { issuer, stop, [Symbol.asyncDispose]: stop }
}
