/** `/cluster/revision`: which revision every live node serves, and waiting until all serve one. */
import { type Answer, answerJson, answerMessage } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import type { AdminPorts } from './ports.ts'

/** `wait` without `timeout`. */
const TIMEOUT_S = 5
const TIMEOUT_MAX_S = 300
/** Between two looks at the nodes: their heartbeats are slower than this. */
const LOOK_MS = 100

export function clusterEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    {
      path: '/cluster/revision',
      methods: {
        GET: {
          handler: (request) => revision(ports, request),
          about: 'The revision that each live node serves; `wait` answers when all serve it, or with 409 who lags.',
          role: 'viewer',
          query: [
            { name: 'wait', about: 'The revision to wait for.', schema: { type: 'integer', minimum: 0 } },
            {
              name: 'timeout',
              about: `Seconds to wait, ${TIMEOUT_S} when absent.`,
              schema: { type: 'number', minimum: 0, maximum: TIMEOUT_MAX_S },
            },
          ],
          answers: { 200: { schema: { type: 'object' } }, 400: 'message', 409: { schema: { type: 'object' } } },
        },
      },
    },
  ]
}

async function revision(ports: AdminPorts, { query }: AdminRequest): Promise<Answer> {
  const wait = query.one('wait')
  const timeout = query.one('timeout') ?? String(TIMEOUT_S)
  if (wait === null || (wait !== undefined && !/^\d{1,15}$/.test(wait)))
    return answerMessage(400, 'wait: expected a revision')
  const timeoutS = /^\d{1,4}(?:\.\d{1,3})?$/.test(timeout) ? Number(timeout) : NaN
  if (!(timeoutS <= TIMEOUT_MAX_S)) return answerMessage(400, `timeout: expected seconds, at most ${TIMEOUT_MAX_S}`)
  const wanted = wait === undefined ? null : Number(wait)
  const untilMs = performance.now() + timeoutS * 1000
  for (;;) {
    const [{ revision, hash }, nodes] = await Promise.all([ports.store.head(), ports.cluster.revisions()])
    const lagging = nodes.filter((node) => node.revision < (wanted ?? revision))
    const body = { revision, hash, nodes, lagging: lagging.map(({ node_id }) => node_id) }
    if (wanted === null || lagging.length === 0) return answerJson(200, body)
    const leftMs = untilMs - performance.now()
    if (leftMs <= 0) return answerJson(409, { message: `not every node serves revision ${wanted}`, ...body })
    await new Promise((resolve) => setTimeout(resolve, Math.min(LOOK_MS, leftMs)))
  }
}
