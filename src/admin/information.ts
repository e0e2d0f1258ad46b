/** What a node says of itself: `/`, `/status`, `/endpoints`, `/plugins/enabled`, `/timers`. */
import type { Row } from '#model/document.ts'
import { type Answer, answerJson, answerMessage } from './answer.ts'
import type { AdminRequest, Endpoint, Operation } from './endpoint.ts'
import { type AdminPorts, everyRow } from './ports.ts'
import type { Query } from './query.ts'

/** `paths`: of every endpoint of the table, known when the first request comes. */
export function informationEndpoints(ports: AdminPorts, paths: () => readonly string[]): Endpoint[] {
  const pluginsInUse = createPluginsInUse(ports)
  return [
    { path: '/', methods: { GET: show('What this node is and how it is set.', () => root(ports, pluginsInUse)) } },
    {
      path: '/status',
      methods: {
        GET: {
          ...show('Connections, memory and the state of the store.', (request) => status(ports, request)),
          query: [
            { name: 'unit', about: 'Of memory: b, k, m or g.', schema: { type: 'string', enum: UNIT_NAMES } },
            {
              name: 'scale',
              about: 'Digits after the decimal point.',
              schema: { type: 'integer', minimum: 0, maximum: SCALE_MAX },
            },
          ],
          answers: { 200: { schema: { type: 'object' } }, 400: 'message' },
        },
      },
    },
    {
      path: '/endpoints',
      methods: { GET: show('Every path of this Admin API.', () => answerJson(200, { data: paths() })) },
    },
    {
      path: '/plugins/enabled',
      methods: {
        GET: show('The plugins that this node can run.', () =>
          answerJson(200, { enabled_plugins: [...ports.model.built].toSorted() }),
        ),
      },
    },
    {
      path: '/timers',
      methods: { GET: show('What the main thread waits for.', () => answerJson(200, timers(ports))) },
    },
    {
      path: '/robots.txt',
      methods: {
        GET: {
          handler: () => ({
            status: 200,
            body: { text: 'User-agent: *\nDisallow: /', type: 'text/plain; charset=utf-8' },
          }),
          about: 'Keeps crawlers away.',
          role: 'viewer',
          answers: { 200: { text: 'text/plain' } },
        },
      },
    },
  ]
}

/** Paths as `/endpoints` lists them: by segment, so that `/a/z` stands before `/ab`. */
export function sortedPaths(endpoints: readonly Endpoint[]): readonly string[] {
  const key = (path: string) => path.replaceAll('/', '\0')
  return endpoints.map(({ path }) => path).sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

function show(about: string, handler: Operation['handler']): Operation {
  return { handler, about, role: 'viewer', answers: { 200: { schema: { type: 'object' } } } }
}

async function root(ports: AdminPorts, pluginsInUse: PluginsInUse): Promise<Answer> {
  const { node, model, store, isDatabase } = ports
  const { revision, hash } = await store.head()
  const resources = countOf(process.getActiveResourcesInfo())
  return answerJson(200, {
    tagline: 'Welcome to meridian',
    version: node.kongVersion,
    edition: 'community',
    hostname: node.hostname,
    node_id: node.id,
    timers: { running: 0, pending: resources['Timeout'] ?? 0 },
    plugins: {
      available_on_server: Object.fromEntries(
        [...model.plugins]
          .filter(([name]) => model.built.has(name))
          .map(([name, { version, priority }]) => [name, { version, priority }]),
      ),
      enabled_in_cluster: await pluginsInUse(revision),
    },
    configuration: { ...node.configuration, database: isDatabase ? node.configuration['database'] : 'off' },
    pids: { master: node.pid, workers: Array.from({ length: node.workers }, () => node.pid) },
    meridian: { version: node.version, workers: node.workers, revision, hash, warnings: node.warnings() },
  })
}

type PluginsInUse = (revision: number) => Promise<readonly string[]>

/** Walked once per revision: `/` is what monitors ask all the time. */
function createPluginsInUse({ store }: AdminPorts): PluginsInUse {
  let known: { readonly revision: number; readonly names: readonly string[] } | null = null
  return async (revision) => {
    if (known?.revision === revision) return known.names
    const names = new Set<string>()
    for await (const row of everyRow(store, 'plugins', {})) names.add(pluginName(row))
    known = { revision, names: [...names].toSorted() }
    return known.names
  }
}

function pluginName(row: Row): string {
  return String(row.document['name'])
}

const UNITS: Readonly<Record<string, { readonly bytes: number; readonly name: string }>> = {
  b: { bytes: 1, name: '' },
  k: { bytes: 1024, name: ' KiB' },
  m: { bytes: 1024 ** 2, name: ' MiB' },
  g: { bytes: 1024 ** 3, name: ' GiB' },
}
const UNIT_NAMES = ['b', 'B', 'k', 'K', 'm', 'M', 'g', 'G']
const SCALE_MAX = 20

async function status(
  { statistics, store, node, isDatabase, serving, configurationHash, isStoreReachable, filling }: AdminPorts,
  request: AdminRequest,
): Promise<Answer> {
  const size = sizeFormat(request.query)
  if (typeof size === 'string') return answerMessage(400, size)
  const { revision } = await store.head()
  const progress = filling?.() ?? null
  return answerJson(200, {
    memory: {
      workers_lua_vms: statistics
        .workerHeaps()
        .map(({ worker, heapBytes }) => ({ http_allocated_gc: size(heapBytes), pid: node.pid, worker })),
      lua_shared_dicts: Object.fromEntries(
        Object.entries(statistics.sharedMemory()).map(([name, { usedBytes, sizeBytes }]) => [
          name,
          { allocated_slabs: size(usedBytes), capacity: size(sizeBytes) },
        ]),
      ),
    },
    server: statistics.connections(),
    database: { reachable: isStoreReachable() },
    ...(isDatabase ? {} : { configuration_hash: configurationHash.current() }),
    meridian: {
      revision,
      serving: serving.revision,
      ...(progress && { filling: progress }),
      warnings: node.warnings(),
    },
  })
}

/** Writes a number of bytes in the unit that the query asks for; or what is wrong with the query. */
function sizeFormat(query: Query): ((bytes: number) => string | number) | string {
  const unitName = query.one('unit') ?? 'm'
  const unit = UNIT_NAMES.includes(unitName) ? UNITS[unitName.toLowerCase()]! : undefined
  if (unit === undefined) return `invalid unit '${unitName}' (expected 'k/K', 'm/M', or 'g/G')`
  const scaleText = query.one('scale') ?? '2'
  const scale = Number(scaleText)
  if (scaleText.trim() === '' || Number.isNaN(scale)) return `invalid scale '${scaleText}' (expected a number)`
  if (scale < 0) return 'scale must be equal or greater than 0'
  if (!Number.isInteger(scale) || scale > SCALE_MAX) return `scale must be an integer of at most ${SCALE_MAX}`
  return (bytes) => (unit.bytes === 1 ? bytes : `${(bytes / unit.bytes).toFixed(scale)}${unit.name}`)
}

function timers({ node }: AdminPorts): Readonly<Record<string, unknown>> {
  return {
    worker: { id: 0, count: node.workers },
    stats: { flamegraph: {}, sys: countOf(process.getActiveResourcesInfo()), timers: {} },
  }
}

function countOf(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
