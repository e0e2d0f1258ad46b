/** A real Zipkin server on a free port of loopback, with its storage in memory. */
import { freePort } from './free-port.ts'
import { startChild } from './process.ts'

export interface ZipkinProgram {
  /** The `java` that runs it. */
  readonly command: string
  readonly jar: string
}

/** It is a Java program of some size. */
const START_TIMEOUT_MS = 120_000

export async function startZipkin({ command, jar }: ZipkinProgram) {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const listen = [`ports[0].port=${port}`, 'ports[0].ip=127.0.0.1', 'ports[0].protocols[0]=http']
  const child = await startChild({
    command,
    args: ['-Xmx256m', '-jar', jar, ...listen.map((option) => `--armeria.${option}`)],
    name: 'zipkin',
  })
  const ask = async (at: string): Promise<Response> => fetch(url + at, { signal: AbortSignal.timeout(10_000) })
  const stop = async (): Promise<void> => void (await child.stop())
  try {
    await child.waitUntil(
      'healthy',
      () =>
        ask('/health').then(
          ({ ok }) => ok,
          () => false,
        ),
      START_TIMEOUT_MS,
    )
  } catch (error) {
    await stop()
    throw error
  }
  return {
    /** Where spans go. */
    endpoint: `${url}/api/v2/spans`,
    /** The spans of a trace as it has them; empty while it has none. */
    trace: async (id: string): Promise<any[]> => {
      const response = await ask(`/api/v2/trace/${id}`)
      return response.ok ? ((await response.json()) as any[]) : []
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
