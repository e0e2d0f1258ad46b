import { existsSync, globSync } from 'node:fs'
import path from 'node:path'
import { runChild } from './process.ts'

/** Where distributions put it. */
const USUAL_PLACES = '/usr/lib/jvm/*'

/** The `java` of a Java 17, which is what Cassandra 5 runs on; rejects when there is none, also when there is another one. */
export async function java17(): Promise<string> {
  const { JAVA_HOME: home, PATH: folders = '' } = process.env
  const places = [...(home === undefined ? [] : [path.join(home, 'bin')]), ...folders.split(':')]
  const usual = globSync(USUAL_PLACES)
    .toSorted()
    .map((folder) => path.join(folder, 'bin'))
  const found: string[] = []
  for (const folder of [...places, ...usual]) {
    const command = path.join(folder, 'java')
    if (!existsSync(command)) continue
    const version = await versionOf(command)
    if (version?.startsWith('17.')) return command
    found.push(`${command} is ${version ?? 'no Java'}`)
  }
  throw new Error(`expected a Java 17 in JAVA_HOME, PATH or ${USUAL_PLACES}; ${found.join(', ') || 'there is no Java'}`)
}

async function versionOf(command: string): Promise<string | undefined> {
  const { output } = await runChild({ command, args: ['-version'], timeoutMs: 20_000 })
  return /version "([^"]+)"/.exec(output)?.[1]
}
