/** What logs read of an exchange; `Exchange` of the plugin kit has this shape, and so has what stands for an Admin API request. */
import type { StreamProtocol } from '#model/stream-protocols.ts'

export interface LoggedHeaders {
  get(name: string): string | null
  /** Lower-case names; the value is a list where the name came several times. */
  toObject(): Readonly<Record<string, string | readonly string[]>>
}

interface Named {
  readonly id: string
  readonly name?: string | null
}

export interface LoggedTry {
  readonly ip: string
  readonly port: number
  readonly startedAtMs: number
  readonly latencyMs: number
  readonly state: string
  readonly code: number
}

export interface LoggedExchange {
  readonly id: string
  readonly startedAtMs: number
  readonly request: {
    readonly method: string
    readonly rawPath: string
    readonly query: string | null
    readonly httpVersion: string
    readonly scheme: string
    readonly host: string
    readonly port: number
    readonly clientIp: string
    readonly clientPort: number
    readonly serverIp: string
    readonly serverPort: number
    readonly headers: LoggedHeaders
    readonly bytesReceived: number
    readonly tls: { readonly version: string; readonly cipher: string; readonly clientVerify: string } | null
  }
  readonly response: {
    readonly status: number
    readonly headers: LoggedHeaders
    readonly source: 'service' | 'exit' | 'error'
    readonly bytesSent: number
    readonly headBytes: number
  }
  readonly upstream: { readonly path: string }
  readonly upstreamStatus: number
  readonly tries: readonly LoggedTry[]
  readonly proxyLatencyMs: number
  readonly upstreamLatencyMs: number
  readonly totalLatencyMs: number
  readonly route: Named | null
  readonly service: Named | null
  readonly workspace: Named | null
  readonly consumer: { readonly id: string; readonly username?: string | null } | null
  readonly credential: { readonly id: string } | null
  readonly error: Error | null
  /** What it is when it is no exchange over HTTP but a session; null for HTTP. */
  readonly sessionProtocol: StreamProtocol | null
  /** Fields that plugins add to the log record. */
  readonly logFields: Readonly<Record<string, unknown>> | null
}
