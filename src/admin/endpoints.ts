/** The whole table of endpoints: what follows from the definitions, with Kong's own exceptions and our additions on top. */
import { openapi } from '#model/openapi.ts'
import { answerJson } from './answer.ts'
import { acmeEndpoints } from './acme.ts'
import { caCertificateEndpoints } from './ca-certificates.ts'
import { certificateEndpoints, DISABLED_CERTIFICATE_PATHS } from './certificates.ts'
import { clusterEndpoints } from './cluster.ts'
import { epochEndpoints } from './epoch.ts'
import { configEndpoints } from './config.ts'
import { consumerGroupEndpoints } from './consumer-groups.ts'
import { consumerEndpoints } from './consumers.ts'
import type { Endpoint } from './endpoint.ts'
import { entityEndpoints } from './entity-routes.ts'
import { informationEndpoints, sortedPaths } from './information.ts'
import { logEndpoints } from './log.ts'
import { metricsEndpoints } from './metrics.ts'
import { nodeEndpoints } from './node-endpoints.ts'
import type { AdminPorts } from './ports.ts'
import { responseCacheEndpoints } from './response-cache.ts'
import { routeExplainEndpoints } from './route-explain.ts'
import { schemaEndpoints } from './schemas.ts'
import { tagEndpoints } from './tags.ts'
import { DISABLED_TARGET_PATHS, targetEndpoints } from './targets.ts'
import { trafficLimitEndpoints } from './traffic-limits.ts'
import { trafficSplitEndpoints } from './traffic-splits.ts'
import { workspaceEndpoints } from './workspaces.ts'

export function createEndpoints(ports: AdminPorts): readonly Endpoint[] {
  const disabled = new Set<string>([...DISABLED_TARGET_PATHS, ...DISABLED_CERTIFICATE_PATHS])
  const table = new Map(
    entityEndpoints(ports)
      .filter(({ path }) => !disabled.has(path))
      .map((endpoint) => [endpoint.path, endpoint]),
  )
  const listConsumers = table.get('/consumers')!.methods.GET!
  const own = [
    ...informationEndpoints(ports, () => sortedPaths([...table.values()])),
    ...schemaEndpoints(ports),
    ...configEndpoints(ports),
    ...tagEndpoints(ports),
    ...caCertificateEndpoints(ports),
    ...certificateEndpoints(ports),
    ...consumerEndpoints(ports, listConsumers),
    ...consumerGroupEndpoints(ports),
    ...workspaceEndpoints(ports),
    ...targetEndpoints(ports),
    ...nodeEndpoints(ports),
    ...responseCacheEndpoints(ports),
    ...acmeEndpoints(ports),
    ...trafficLimitEndpoints(ports),
    ...trafficSplitEndpoints(ports),
    ...logEndpoints(ports),
    ...clusterEndpoints(ports),
    ...epochEndpoints(ports),
    ...routeExplainEndpoints(ports),
    ...(ports.metricsPage === undefined ? [] : metricsEndpoints(ports.metricsPage)),
    openapiEndpoint(ports, () => [...table.values()]),
  ]
  for (const endpoint of own) table.set(endpoint.path, merged(table.get(endpoint.path), endpoint))
  return [...table.values()]
}

/** An exception replaces the methods that it has, and leaves the others as they were generated. */
function merged(generated: Endpoint | undefined, own: Endpoint): Endpoint {
  return generated === undefined ? own : { ...generated, ...own, methods: { ...generated.methods, ...own.methods } }
}

function openapiEndpoint({ model, node }: AdminPorts, endpoints: () => readonly Endpoint[]): Endpoint {
  let document: unknown
  const describe = () =>
    openapi({ model, endpoints: endpoints().map(described), title: 'Meridian Admin API', version: node.version })
  return {
    path: '/openapi.json',
    methods: {
      GET: {
        handler: () => answerJson(200, (document ??= describe())),
        about: 'This document.',
        role: 'viewer',
        answers: { 200: { schema: { type: 'object' } } },
      },
    },
  }
}

/** What every operation may answer besides its own: said once, here. */
const ALWAYS = { 401: 'message', 403: 'message', 503: 'message' } as const
const WITH_PARAMETERS = { 400: 'error' } as const
const WITH_BODY = { 400: 'error', 408: 'message', 413: 'message', 415: 'message' } as const
/** Without a database entities are not written by themselves. */
const WRITING = { 405: 'error', 412: 'message' } as const

function described(endpoint: Endpoint): Endpoint {
  const methods = Object.entries(endpoint.methods).map(([method, operation]) => {
    const answers = {
      ...ALWAYS,
      ...(endpoint.path.includes('{') ? WITH_PARAMETERS : {}),
      ...(method === 'GET' ? {} : WRITING),
      ...(method === 'GET' || method === 'DELETE' ? {} : WITH_BODY),
      ...operation.answers,
    }
    return [method, { ...operation, answers }]
  })
  return { ...endpoint, methods: Object.fromEntries(methods) as Endpoint['methods'] }
}
