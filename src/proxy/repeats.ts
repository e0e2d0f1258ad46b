/**
 * Requests that plugins repeat without a client (`ServiceChooser.repeat`): what a worker has for them, and what of the request that is
 * repeated goes on in its copy.
 */
import type { ClientSide } from '#http/client-side.ts'
import { RequestHead } from '#http/request-head.ts'
import type { ConsumerGroup, Exchange, ServiceChooser } from '#pdk/exchange.ts'
import type { Plan, Snapshot } from '#snapshot/snapshot.ts'
import { NoClient } from './no-client.ts'
import type { ProxyEvents, WorkerContext } from './worker-context.ts'

/** Under way at a time in a worker: what many clients want at once is repeated, but never so much that they notice. */
export const MOST_REPEATS = 64

/** As the worker's, but nothing that comes of it is told as if a client had asked. */
export class RepeatContext implements WorkerContext {
  readonly settings: WorkerContext['settings']
  readonly trust: WorkerContext['trust']
  readonly pool: WorkerContext['pool']
  readonly http2Pool: WorkerContext['http2Pool']
  readonly clock: WorkerContext['clock']
  readonly newRequestId: () => string
  readonly groupsOf: (consumerId: string) => readonly ConsumerGroup[] | Promise<readonly ConsumerGroup[]>
  readonly plainPoolKey: WorkerContext['plainPoolKey']
  readonly isOverloaded: () => boolean
  readonly pulse: Int32Array
  readonly events: ProxyEvents
  /** What repeats is not repeated. */
  readonly repeats = null
  readonly underWay = new Set<NoClient>()
  readonly #worker: WorkerContext
  #inFlight = 0

  constructor(worker: WorkerContext) {
    this.#worker = worker
    this.settings = worker.settings
    this.trust = worker.trust
    this.pool = worker.pool
    this.http2Pool = worker.http2Pool
    this.clock = worker.clock
    this.newRequestId = worker.newRequestId
    this.groupsOf = worker.groupsOf
    this.plainPoolKey = worker.plainPoolKey
    this.isOverloaded = worker.isOverloaded
    this.pulse = worker.pulse
    this.events = { ...worker.events, exchangeEnded: () => undefined, exchangeFailed: () => undefined }
  }

  get snapshot(): Snapshot {
    return this.#worker.snapshot
  }

  get isDraining(): boolean {
    return this.#worker.isDraining
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** They are the worker's, too, and count in what it may have. */
  set inFlight(count: number) {
    this.#worker.inFlight += count - this.#inFlight
    this.#inFlight = count
  }

  clientLike(client: ClientSide): NoClient {
    return new NoClient(client, this.underWay)
  }

  /** Ends those under way: whoever drains waits for clients only. */
  giveUp(): void {
    for (const one of this.underWay) one.giveUp()
  }

  get hasRoom(): boolean {
    const { maxInFlight } = this.settings
    return (
      this.#inFlight < MOST_REPEATS &&
      !this.isDraining &&
      !this.isOverloaded() &&
      (maxInFlight === 0 || this.#worker.inFlight < maxInFlight)
    )
  }
}

/** What of a plan runs for a repeated request; null when the plugin is not in it, or there is no room for one. */
export function repeatedPlan(repeats: Pick<RepeatContext, 'hasRoom'> | null, plan: Plan, plugin: string): Plan | null {
  if (repeats === null || !repeats.hasRoom) return null
  const at = plan.instances.findIndex(({ name }) => name === plugin)
  if (at < 0) return null
  const before = new Set(plan.instances.slice(0, at))
  const own = plan.instances[at]!
  return {
    ...plan,
    access: plan.access.filter(({ instance }) => !before.has(instance)),
    responseHeaders: plan.responseHeaders.filter(({ instance }) => instance === own || before.has(instance)),
    responseBody: plan.responseBody.filter(({ instance }) => instance === own || before.has(instance)),
    responseHold: plan.responseHold.filter(({ instance }) => before.has(instance)),
    responseEncoding: [],
    log: plan.log.filter(({ instance }) => instance === own),
  }
}

/** The head as the request is now, without a body. */
export function repeatedHead(head: RequestHead, { request }: Exchange): RequestHead {
  const copy = new RequestHead(request.headers.clone())
  copy.method = head.method
  copy.rawPath = head.rawPath
  copy.query = head.query
  copy.minor = head.minor
  copy.host = head.host
  copy.connection = head.connection
  copy.isPathNormal = head.isPathNormal
  copy.isPathPlain = head.isPathPlain
  copy.isHttp2 = head.isHttp2
  return copy
}

/** What plugins found out about the request and made of it, for the copy. */
export function takeRepeated(copy: Exchange, of: Exchange, chooser: ServiceChooser): void {
  copy.hasClient = false
  copy.chooser = chooser
  copy.route = of.route
  copy.service = of.service
  copy.workspace = of.workspace
  copy.matchedPath = of.matchedPath
  copy.captures = of.captures
  copy.consumer = of.consumer
  copy.consumerGroups = of.consumerGroups
  copy.credential = of.credential
  Object.assign(copy.upstream, of.upstream)
  const { request } = copy
  request.method = of.request.method
  request.path = of.request.path
  request.rawPath = of.request.rawPath
  request.query = of.request.query
  request.clientIp = of.request.clientIp
  request.clientPort = of.request.clientPort
}
