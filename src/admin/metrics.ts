/** `/metrics` on the Admin API, where Kong's prometheus plugin has it too; monitoring should ask the status listener. */
import { EXPOSITION_CONTENT_TYPE } from '#telemetry/exposition.ts'
import { type Answer, answerMessage, withHeaders } from './answer.ts'
import type { Endpoint } from './endpoint.ts'

/** The page in pieces. */
export type MetricsPage = () => AsyncIterable<string>

/** Pages that are made at a time: each may have megabytes. */
const PAGES_MAX = 2

export function metricsEndpoints(page: MetricsPage): Endpoint[] {
  let making = 0
  const show = async (): Promise<Answer> => {
    if (making >= PAGES_MAX)
      return withHeaders(answerMessage(503, 'Too many pages of metrics are made now'), { 'Retry-After': '1' })
    making++
    try {
      const pieces = await Array.fromAsync(page())
      return { status: 200, body: { text: pieces.join(''), type: EXPOSITION_CONTENT_TYPE } }
    } finally {
      making--
    }
  }
  const operation = {
    handler: show,
    about: 'The metrics of this node.',
    role: 'viewer',
    answers: { 200: { text: 'text/plain' }, 503: 'message' },
  } as const
  return [{ path: '/metrics', methods: { GET: operation } }]
}
