/** `/cluster/*`: the nodes as this one sees them, which revision each serves, and waiting until all serve one. */
import { conditionOf, CONDITIONS, type NodeView } from '#store/cluster-view.ts'
import { type Answer, answerJson, answerMessage } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import type { AdminPorts } from './ports.ts'

/** `wait` without `timeout`. */
const TIMEOUT_S = 5
const TIMEOUT_MAX_S = 300
/** Between two looks at the nodes: news of them come more slowly than this. */
const LOOK_MS = 100

export function clusterEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    {
      path: '/cluster/nodes',
      methods: {
        GET: {
          handler: () => nodes(ports),
          about: 'The nodes of each data center, as this node sees them.',
          role: 'viewer',
          answers: { 200: { schema: NODES_SCHEMA } },
        },
      },
    },
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
          answers: { 200: { schema: REVISIONS_SCHEMA }, 400: 'message', 409: { schema: REVISIONS_SCHEMA } },
        },
      },
    },
  ]
}

const REVISION = {
  type: 'integer',
  minimum: -1,
  description: 'The lowest over the workers of the node; -1 while one has none.',
}
const HASH = { type: ['string', 'null'] }
const IDS = { type: 'array', items: { type: 'string' } }

const NODES_SCHEMA = {
  type: 'object',
  properties: {
    revision: { type: 'integer', description: 'The newest revision that any of the nodes is known to have.' },
    data_centers: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          name: { type: 'string' },
          nodes: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                node_id: { type: 'string' },
                hostname: { type: 'string' },
                is_self: { type: 'boolean', description: 'Whether this node answers.' },
                state: {
                  enum: [...CONDITIONS],
                  description:
                    'What the node says of itself while it is up; `down` when it is silent or has ended, `unknown` while its data center can not be read.',
                },
                address: { type: ['string', 'null'], description: 'Where others reach it, else where it listens.' },
                admin_address: { type: ['string', 'null'] },
                proxy_address: { type: ['string', 'null'] },
                revision: REVISION,
                lag: { type: 'integer', minimum: 0, description: 'Revisions behind the newest.' },
                applied_revision: { type: 'integer', description: 'The newest that its main thread holds.' },
                hash: { ...HASH, description: 'Of the applied revision.' },
                epoch: {
                  type: ['integer', 'null'],
                  description:
                    "The epoch of the cluster's log that it follows. One that is lower than another's waits for the state of that.",
                },
                version: { type: 'string' },
                role: { type: 'string' },
                workers: { type: 'integer' },
                requests_per_second: { type: 'number' },
                started_at: { type: ['string', 'null'], format: 'date-time' },
                understands: { type: 'object', description: 'What of the log its version can read.' },
              },
            },
          },
        },
      },
    },
  },
}

const REVISIONS_SCHEMA = {
  type: 'object',
  properties: {
    message: { type: 'string' },
    revision: { type: 'integer', description: 'The newest that this node knows of.' },
    hash: HASH,
    nodes: {
      type: 'array',
      description: 'All that are not down.',
      items: {
        type: 'object',
        properties: {
          node_id: { type: 'string' },
          hostname: { type: 'string' },
          data_center: { type: 'string' },
          revision: REVISION,
          hash: HASH,
        },
      },
    },
    lagging: { ...IDS, description: 'Ids of those that do not serve the revision, as far as this node knows.' },
    down: { ...IDS, description: 'Ids of those that are not waited for.' },
  },
}

async function nodes({ cluster, store }: AdminPorts): Promise<Answer> {
  const head = await store.head()
  const seen = cluster.nodes()
  const newest = Math.max(head.revision, ...seen.map(({ applied_revision }) => applied_revision))
  return answerJson(200, {
    revision: newest,
    data_centers: cluster.dataCenters.map((name) => ({
      name,
      nodes: seen.filter(({ data_center }) => data_center === name).map((node) => present(node, newest)),
    })),
  })
}

function present(node: NodeView, newest: number): Record<string, unknown> {
  const { node_id, hostname, is_self, address, admin_address, proxy_address, serving_revision, applied_revision } = node
  const { hash, epoch, version, role, workers, requests_per_second, started_at_ms, understands } = node
  return {
    node_id,
    hostname,
    is_self,
    state: conditionOf(node),
    address,
    admin_address,
    proxy_address,
    revision: serving_revision,
    lag: Math.max(0, newest - Math.max(0, serving_revision)),
    applied_revision,
    hash: hash === '' ? null : hash,
    epoch: epoch > 0 ? epoch : null,
    version,
    role,
    workers,
    requests_per_second,
    started_at: started_at_ms > 0 ? new Date(started_at_ms).toISOString() : null,
    understands,
  }
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
    const body = await revisions(ports, wanted)
    if (wanted === null || body.lagging.length === 0) return answerJson(200, body)
    const leftMs = untilMs - performance.now()
    if (leftMs <= 0) return answerJson(409, { message: `not every node serves revision ${wanted}`, ...body })
    ports.cluster.wake()
    await new Promise((resolve) => setTimeout(resolve, Math.min(LOOK_MS, leftMs)))
  }
}

/** Who serves what. Of a node that can't be seen it is not known that it serves the revision, so it lags; one that is down serves nobody. */
async function revisions({ store, cluster }: AdminPorts, wanted: number | null) {
  const { revision, hash } = await store.head()
  const seen = cluster.nodes()
  const live = seen.filter(({ status }) => status !== 'down')
  const lagging = live.filter(
    ({ status, serving_revision }) => serving_revision < (wanted ?? revision) || (wanted !== null && status !== 'up'),
  )
  return {
    revision,
    hash,
    nodes: live.map((node) => ({
      node_id: node.node_id,
      hostname: node.hostname,
      data_center: node.data_center,
      revision: node.serving_revision,
      hash: node.serving_revision === node.applied_revision ? node.hash : null,
    })),
    lagging: lagging.map(({ node_id }) => node_id),
    down: seen.filter(({ status }) => status === 'down').map(({ node_id }) => node_id),
  }
}
