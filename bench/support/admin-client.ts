/** The few Admin API calls that the benchmarks make, with an error that says what was answered. */
export interface AdminClient {
  readonly send: (method: string, path: string, body?: object) => Promise<unknown>
}

const TIMEOUT_MS = 60_000

export function createAdminClient(url: string): AdminClient {
  return {
    async send(method, path, body) {
      const response = await fetch(url + path, {
        method,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`)
      return text === '' ? null : JSON.parse(text)
    },
  }
}

/** Runs `act` for 0 to `count` - 1, `width` at a time. */
export async function inParallel(count: number, width: number, act: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) await act(next++)
  }
  await Promise.all(Array.from({ length: width }, lane))
}
