/** One request over a connection of its own: nothing of an earlier one, such as a connection to a process that was killed, is used again. */
import { Agent, request } from 'node:http'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** Undefined when the body is no JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any
}

export interface Question {
  readonly method?: string
  /** Sent as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  /** Called when the request was handed to the kernel. */
  readonly onSent?: () => void
}

const TIMEOUT_MS = 30_000
const agent = new Agent({ keepAlive: false })

/** Rejects when there is no whole answer in time. */
export function ask(url: string, question: Question = {}): Promise<Reply> {
  const { method = 'GET', body, headers = {}, timeoutMs = TIMEOUT_MS, onSent } = question
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method,
        agent,
        headers: {
          ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...headers,
        },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json: parsed(text) })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.on('finish', () => onSent?.())
    outgoing.end(text)
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // an answer without a JSON body
  }
}
