/** The log of TCP, TLS and UDP sessions: a line for each when it ends, in the form that Kong has nginx write (`basic`). */
import type { StreamProtocol } from '#model/stream-protocols.ts'
import type { LogTarget } from '#model/settings/composites.ts'
import { LineWriter } from './line-writer.ts'
import { localTime } from './local-time.ts'

export interface LoggedSession {
  readonly ip: string
  readonly protocol: StreamProtocol
  readonly status: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly startedAtMs: number
  readonly durationMs: number
}

export interface SessionLog {
  write(session: LoggedSession): void
  reopen(): void
  close(): Promise<void>
}

const DELAY_MS = 200
const LIMIT_CHARS = 4 << 20

/** Null when it is off. Throws when the file can't be opened. */
export function openSessionLog(target: LogTarget, onError: (error: Error) => void): SessionLog | null {
  if (target.to === 'off') return null
  const writer = new LineWriter(target, { delayMs: DELAY_MS, limitChars: LIMIT_CHARS, onError })
  return {
    write: (session) => writer.write(lineOf(session)),
    reopen: () => writer.reopen(),
    close: () => writer.close(),
  }
}

function lineOf({ ip, protocol, status, bytesSent, bytesReceived, startedAtMs, durationMs }: LoggedSession): string {
  const endedAt = localTime(Math.floor((startedAtMs + durationMs) / 1000))
  const transport = protocol === 'udp' ? 'UDP' : 'TCP'
  const seconds = (durationMs / 1000).toFixed(3)
  return `${ip || 'unix:'} [${endedAt}] ${transport} ${status} ${bytesSent} ${bytesReceived} ${seconds}\n`
}
