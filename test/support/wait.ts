import { setTimeout as sleep } from 'node:timers/promises'

/** Asks until the answer is true; rejects at the deadline, saying what was waited for. */
export async function waitUntil(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  deadlineMs = 30_000,
): Promise<void> {
  const untilMs = performance.now() + deadlineMs
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await sleep(20)
  }
}

/** The answer of `promise`; rejects at the deadline, saying what was waited for. */
export function within<T>(what: string, promise: Promise<T>, deadlineMs = 30_000): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms: ${what}`)), deadlineMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
