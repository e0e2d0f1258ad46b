/**
 * The life of one exchange, in the order in which things happen: read the head, match a route, run the access phase, choose
 * a target, send the request, pass the response back, log. Nothing is awaited that is not really asynchronous.
 */
import type { Socket } from 'node:net'
import { clientFailure, upstreamFailure, type WireFailure } from '#http/failure.ts'
import { CONNECTION_UPGRADE } from '#http/fields.ts'
import { HeaderList } from '#http/header-list.ts'
import { headerId } from '#http/known-headers.ts'
import { LAST_CHUNK, lastChunk } from '#http/chunked.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { ResponseHead } from '#http/response-head.ts'
import type { RequestSink, ServerConnection } from '#http/server-connection.ts'
import type { BodyTransform } from '#pdk/pdk.ts'
import { ClientRequest, ClientResponse, Exchange, type Exit } from '#pdk/exchange.ts'
import type { Outcome, Pick, PickedTarget } from '#balancer/contract.ts'
import { stickyCookieOf } from '#balancer/hash-input.ts'
import { upstreamPath, escapeUpstreamPath } from '#router/path.ts'
import type { UpstreamConnection, ResponseSink } from '#upstream/connection.ts'
import { poolKey } from '#upstream/pool.ts'
import type { CompiledRoute, CompiledService, Plan, Snapshot } from '#snapshot/snapshot.ts'
import { cleanResponseFields, ownHead, proxiedHead, type ClientFraming } from './client-head.ts'
import { exitOfPickError, exitOfProtocol } from './fail.ts'
import { answerOfExit, answerOfFailure, type OwnAnswer } from './own-answer.ts'
import { isPromise, PhaseRunner, type PhaseHost } from './access-phase.ts'
import { AbsentBody, BodyFlow, type BodyTarget } from './request-body.ts'
import { readRequest } from './read-request.ts'
import { mayRetry } from './retry.ts'
import { transformAll, transformEnd, transformWhole } from './response-transform.ts'
import { statusLine } from './reasons.ts'
import { joinSockets } from './tunnel.ts'
import { upstreamHead, type BodyFraming } from './upstream-head.ts'
import type { WorkerContext } from './worker-context.ts'

export class ProxyRun implements RequestSink, ResponseSink, BodyTarget, PhaseHost {
  readonly exchange: Exchange
  #worker: WorkerContext
  #connection: ServerConnection
  #head: RequestHead
  #snapshot: Snapshot
  #beganMs: number
  #sentMs = 0
  #compiled: CompiledRoute | null = null
  #plan: Plan
  #body: BodyFlow | null = null
  readonly #noBody = new AbsentBody()
  #upstream: UpstreamConnection | null = null
  #target: PickedTarget | null = null
  #tried: PickedTarget[] = []
  #retriesLeft = 0
  #isUpgrade = false
  #hostHeader = ''
  /** The method that the upstream is asked with. */
  #method = ''
  /** How the request's body goes out; decided once. */
  #framing: BodyFraming = 'none'
  /** The whole body, when it goes out with the head and may go out again. */
  #wholeBody: Buffer | null = null
  #transforms: BodyTransform[] | null = null
  #responseFraming: ClientFraming = 'none'
  #hasResponded = false
  isOver = false
  #continueSent = false

  constructor(worker: WorkerContext, connection: ServerConnection, head: RequestHead) {
    this.#worker = worker
    this.#connection = connection
    this.#head = head
    this.#snapshot = worker.snapshot
    this.#plan = this.#snapshot.globalPlan
    this.#beganMs = performance.now()
    if (head.isChunked || head.contentLength > 0)
      this.#body = new BodyFlow(connection, head.contentLength, worker.settings.pluginBodyBytes, () =>
        this.#sendContinue(),
      )
    const request = new ClientRequest(head.headers, this.#body ?? this.#noBody)
    this.exchange = new Exchange(
      worker.newRequestId(),
      Math.round(performance.timeOrigin + this.#beganMs),
      request,
      new ClientResponse(NO_HEADERS),
    )
    readRequest(request, connection, head, worker)
    worker.inFlight++
  }

  /** Begins; everything after it happens in callbacks. */
  start(): void {
    const { settings } = this.#worker
    if ((settings.maxInFlight > 0 && this.#worker.inFlight > settings.maxInFlight) || this.#worker.isOverloaded())
      return this.#fail(OVERLOADED)
    if (settings.maxBodyBytes > 0 && this.#body !== null) {
      this.#body.limit(settings.maxBodyBytes)
      if (this.#body.isOverLimit) return this.#fail(TOO_LARGE)
    }
    const { rewrite } = this.#snapshot
    if (rewrite.length > 0) new PhaseRunner(this, this.#worker, this.#snapshot, null, 'rewrite', rewrite).run(0)
    else this.#route()
  }

  #route(): void {
    const { exchange } = this
    const match = this.#snapshot.router.match(exchange.request)
    if (match === null) return this.exit(exchange.fail(404, 'no Route matched with those values'))
    const compiled = this.#snapshot.compiled(match.route)
    this.#compiled = compiled
    this.#plan = compiled.plan
    exchange.route = match.route
    exchange.matchedPath = match.matchedPath
    exchange.captures = match.captures
    exchange.service = compiled.service === null ? null : compiled.service.service
    exchange.workspace = compiled.workspace
    const refusal = exitOfProtocol(exchange, match.route)
    if (refusal !== null) return this.exit(refusal)
    if (compiled.service !== null) this.#prepareUpstream(compiled.service, match.matchedPath)
    const { access } = this.#plan
    if (access.length > 0) new PhaseRunner(this, this.#worker, this.#snapshot, compiled, 'access', access).run(0)
    else this.#proxyPass()
  }

  /** What plugins may change before the request goes out. */
  #prepareUpstream(service: CompiledService, matchedPath: string | null): void {
    const { request, upstream, route } = this.exchange
    const entity = service.service
    upstream.scheme = entity.protocol === 'https' ? 'https' : 'http'
    upstream.host = entity.host
    upstream.port = entity.port
    const path = upstreamPath({
      servicePath: entity.path,
      matchedPath,
      stripPath: route!.strip_path,
      requestPath: request.path,
      pathHandling: this.#compiled!.pathHandling,
    })
    // What the parser saw to be plain needs no second look; a service's path is checked when it is configured.
    upstream.path = this.#head.isPathPlain && this.#head.isPathNormal ? path : escapeUpstreamPath(path)
    upstream.strippedPrefix =
      route!.strip_path && matchedPath !== null && matchedPath !== '/' && matchedPath !== '' ? matchedPath : null
    upstream.retries = service.retries
    upstream.connectTimeoutMs = service.timeouts.connectMs
    upstream.writeTimeoutMs = service.timeouts.writeMs
    upstream.readTimeoutMs = service.timeouts.readMs
    if (route!.preserve_host) upstream.hostHeader = request.hostHeader
  }

  phaseDone(phase: 'rewrite' | 'access'): void {
    if (phase === 'rewrite') this.#route()
    else this.#proxyPass()
  }

  setPlan(plan: Plan): void {
    this.#plan = plan
  }

  // ---- towards the upstream

  #proxyPass(): void {
    const { exchange } = this
    const service = this.#compiled!.service
    if (service === null) return this.exit(exchange.fail(503, 'no Service found with those values'))
    const head = this.#head
    this.#isUpgrade = head.hasUpgrade && (head.connection & CONNECTION_UPGRADE) !== 0 && isWebSocket(head)
    this.#retriesLeft = exchange.upstream.retries
    this.#method = exchange.upstream.method === '' ? exchange.request.method : exchange.upstream.method
    const body = this.#body
    if (body === null) {
      const { made } = this.#noBody
      if (made !== null) {
        this.#wholeBody = made
        this.#framing = made.length
        return this.#pick()
      }
      // nginx passes `Content-Length: 0` on; a body that was never announced gets no length.
      this.#framing = head.contentLength === 0 ? 0 : 'none'
      return this.#pick()
    }
    if (body.isOverLimit) return this.#fail(TOO_LARGE)
    if (body.replacement !== null) {
      this.#wholeBody = body.replacement
      this.#framing = body.replacement.length
      return this.#pick()
    }
    const limit = this.#worker.settings.bodyBufferBytes
    if (this.exchange.route!.request_buffering === false || body.declaredLength > limit) {
      this.#framing = head.isChunked ? 'chunked' : head.contentLength
      if (!head.isChunked) return this.#pick()
      // After what came along with the head is read: that may be the whole body.
      queueMicrotask(() => {
        if (!this.isOver) this.#pick()
      })
      return
    }
    // Small bodies are read whole first: the upstream gets a Content-Length in one write, and the request may be sent again.
    body.collect(limit, (result) => {
      if (this.isOver) return
      if (Buffer.isBuffer(result)) {
        this.#wholeBody = result
        this.#framing = result.length
      } else if (result.error === 'aborted') return
      else this.#framing = head.isChunked ? 'chunked' : head.contentLength
      this.#pick()
    })
  }

  #pick(): void {
    const service = this.#compiled!.service!
    const hash = service.hashInput === null ? null : service.hashInput(this.exchange)
    const picked = service.balancer.pick(hash, this.#tried)
    if (isPromise(picked)) {
      picked.then(
        (pick) => {
          if (!this.isOver) this.#connect(pick)
        },
        (error: unknown) => {
          if (!this.isOver) this.#connect({ ok: false, code: 'resolve_failed', message: String(error) })
        },
      )
    } else this.#connect(picked)
  }

  #connect(pick: Pick): void {
    if (!pick.ok) {
      // Kong's balancer phase, which picks for the second try, can only answer in nginx's manner.
      if (this.#tried.length > 0) return this.#fail(NO_TARGET_LEFT)
      return this.exit(exitOfPickError(this.exchange, this.exchange.upstream.host, pick))
    }
    const { exchange } = this
    const { upstream } = exchange
    const service = this.#compiled!.service!
    const { target } = pick
    this.#target = target
    if (!this.exchange.route!.preserve_host && upstream.hostHeader === '')
      this.#hostHeader =
        service.fixedHost !== ''
          ? withPort(service.fixedHost, target.port, service.defaultPort)
          : withPort(target.hostname, target.port, service.defaultPort)
    else this.#hostHeader = upstream.hostHeader
    const tls = service.tls === null ? null : service.tls(withoutPort(this.#hostHeader))
    const key = tls === null ? this.#worker.plainPoolKey(target) : poolKey(target.ip, target.port, tls)
    const now = performance.now()
    exchange.tries.push({
      ip: target.ip,
      port: target.port,
      startedAtMs: Math.round(performance.timeOrigin + now),
      latencyMs: 0,
      state: '',
      code: 0,
    })
    service.balancer.started(target)
    const { pool } = this.#worker
    const idle = this.#isUpgrade ? null : pool.take(key)
    const connection = idle ?? pool.open(key, target.ip, target.port, tls)
    this.#upstream = connection
    const isBodyWhole = this.#body === null || this.#wholeBody !== null
    connection.begin(
      this,
      exchange.request.method,
      { connectMs: upstream.connectTimeoutMs, readMs: upstream.readTimeoutMs, writeMs: upstream.writeTimeoutMs },
      isBodyWhole,
    )
    if (idle !== null) this.onUpstreamConnected()
  }

  onUpstreamConnected(): void {
    const connection = this.#upstream!
    const { exchange } = this
    const now = performance.now()
    this.#sentMs = now
    exchange.proxyLatencyMs = now - this.#beganMs
    exchange.tries[exchange.tries.length - 1]!.latencyMs = Math.round(exchange.proxyLatencyMs)
    const body = this.#body
    if (this.#framing === 'chunked' && body !== null && body.isComplete) {
      // It came whole meanwhile: a length says more than chunks.
      this.#wholeBody = body.held ?? NO_BYTES
      this.#framing = this.#wholeBody.length
    }
    const head = upstreamHead(
      this.#connection,
      exchange,
      this.#method,
      this.#head,
      this.#hostHeader,
      this.#framing,
      this.#isUpgrade,
      this.#worker.settings,
    )
    if (body === null || this.#wholeBody !== null) {
      connection.writeHead(head, this.#wholeBody)
      return
    }
    // The body streams: what is held goes first, the rest as it comes.
    const held = body.held
    let isFlowing = connection.writeHead(head, this.#framing === 'chunked' ? null : held)
    if (this.#framing === 'chunked' && held !== null) isFlowing = connection.writeChunk(held)
    const { isComplete } = body
    body.flow(this)
    if (isComplete) this.endBody()
    else if (!isFlowing) this.#connection.pauseBody()
  }

  sendBody(bytes: Buffer): boolean {
    const upstream = this.#upstream
    if (upstream === null) return true
    return this.#framing === 'chunked'
      ? upstream.writeChunk(bytes)
      : upstream.write(bytes, this.#connection.readsAreShared)
  }

  endBody(): void {
    const upstream = this.#upstream
    if (upstream === null) return
    if (this.#framing === 'chunked')
      upstream.writeText(this.#trailers === null ? LAST_CHUNK : lastChunk(this.#trailers))
    upstream.endRequest()
  }
  #trailers: HeaderList | null = null

  onUpstreamDrain(): void {
    this.#body?.resume()
  }

  onUpstreamFailure(failure: WireFailure): void {
    const upstream = this.#upstream!
    const target = this.#target!
    this.#upstream = null
    const isReplayable = !upstream.hasSent || this.#body === null || this.#wholeBody !== null
    const isRetried =
      !this.isOver &&
      !this.#hasResponded &&
      this.#retriesLeft > 0 &&
      isReplayable &&
      mayRetry(failure, this.#method, upstream.hasSent)
    this.#noteFailedTry(failure, target, isRetried)
    if (this.isOver) return
    if (this.#hasResponded) return this.#cut(failure)
    if (!isRetried) return this.#fail(failure)
    this.#retriesLeft--
    this.#tried.push(target)
    this.#body?.hold()
    this.#pick()
  }

  /** Kong counts a try after which another follows as a failure of the connection, and the last one by the status that the client gets. */
  #noteFailedTry(failure: WireFailure, target: PickedTarget, isRetried: boolean): void {
    const attempt = this.exchange.tries[this.exchange.tries.length - 1]!
    attempt.state = isRetried ? 'next' : 'failed'
    attempt.code = failure.status
    const isTimeout = failure.status === 504
    const outcome: Outcome = isTimeout
      ? { type: 'timeout' }
      : isRetried
        ? { type: 'tcp_failure' }
        : { type: 'status', status: failure.status }
    this.#compiled!.service!.balancer.ended(target, outcome, performance.now() - this.#sentMs)
  }

  // ---- back to the client

  onInterimResponse(head: ResponseHead): void {
    // 100 was answered by the gateway; early hints (103) are for the client (RFC 8297).
    if (head.status !== 103 || this.#head.minor === 0 || this.#hasResponded) return
    this.#connection.writeText(statusLine(103, null) + head.headers.serialise(NOTHING_SKIPPED) + '\r\n')
  }

  onResponseHead(head: ResponseHead, body: Buffer | null, isWhole: boolean): void {
    const { exchange } = this
    const { response } = exchange
    exchange.upstreamLatencyMs = performance.now() - this.#sentMs
    exchange.upstreamStatus = head.status
    response.status = head.status
    response.headers = head.headers
    response.source = 'service'
    cleanResponseFields(head)
    if (this.#compiled!.service!.hashInput !== null) this.#setStickyCookie()
    if (this.#plan.responseHeaders.length > 0) this.#runResponseHeaders()
    if (this.#plan.responseBody.length > 0 && head.framing !== 'none') this.#startTransforms()
    const hasBody = head.framing !== 'none'
    const length = head.framing === 'length' || !hasBody ? head.contentLength : -1
    this.#responseFraming = this.#chooseFraming(hasBody, this.#transforms === null ? length : -1)
    const connection = this.#connection
    if (this.#responseFraming === 'close' || this.#worker.isDraining) connection.isLast = true
    const text = proxiedHead(
      exchange,
      head,
      this.#responseFraming,
      connection.isLast,
      this.#framingKeepsTrailers(),
      this.#worker.settings,
      this.#worker.clock,
    )
    this.#hasResponded = true
    response.headBytes = response.bytesSent = text.length
    if (this.#transforms !== null) {
      connection.writeHead(text, null)
      if (body !== null) this.onResponseData(body)
    } else {
      response.bytesSent += body === null ? 0 : body.length
      if (!connection.writeHead(text, body) && !isWhole) this.#upstream!.pause()
    }
    if (isWhole) this.onResponseEnd(null)
  }

  /** `hash_on: cookie`: a client that came without one is given its cookie. */
  #setStickyCookie(): void {
    const cookie = stickyCookieOf(this.exchange)
    if (cookie !== null) this.exchange.response.headers.append('Set-Cookie', cookie)
  }

  #framingKeepsTrailers(): boolean {
    return this.#responseFraming === 'chunked' && this.#head.headers.hasKnown(headerId['te'])
  }

  #chooseFraming(hasBody: boolean, length: number): ClientFraming {
    if (!hasBody) return length >= 0 && this.exchange.response.status !== 204 ? length : 'none'
    if (length >= 0) return length
    return this.#head.minor === 1 ? 'chunked' : 'close'
  }

  #runResponseHeaders(): void {
    const { responseHeaders } = this.#plan
    for (let i = 0; i < responseHeaders.length; i++) {
      const step = responseHeaders[i]!
      try {
        step.run(this.exchange, step.instance.state)
      } catch (error) {
        this.#worker.events.pluginFailed(this.exchange, step.instance, 'responseHeaders', error)
      }
    }
  }

  #startTransforms(): void {
    const transforms: BodyTransform[] = []
    for (const step of this.#plan.responseBody) {
      try {
        const transform = step.run(this.exchange, step.instance.state)
        if (transform !== null) transforms.push(transform)
      } catch (error) {
        this.#worker.events.pluginFailed(this.exchange, step.instance, 'responseBody', error)
      }
    }
    this.#transforms = transforms.length > 0 ? transforms : null
  }

  onResponseData(bytes: Buffer): void {
    const out = this.#transforms === null ? bytes : transformAll(this.#transforms, bytes)
    if (out === null || out.length === 0) return
    this.exchange.response.bytesSent += out.length
    const isFlowing =
      this.#responseFraming === 'chunked'
        ? this.#connection.writeChunk(out)
        : this.#connection.write(out, out === bytes && this.#upstream!.readsAreShared)
    if (!isFlowing) this.#upstream?.pause()
  }

  onResponseEnd(trailers: HeaderList | null): void {
    const connection = this.#connection
    if (this.#transforms !== null) {
      const rest = transformEnd(this.#transforms)
      if (rest !== null && rest.length > 0) {
        this.exchange.response.bytesSent += rest.length
        if (this.#responseFraming === 'chunked') connection.writeChunk(rest)
        else connection.write(rest, false)
      }
    }
    if (this.#responseFraming === 'chunked')
      connection.writeText(trailers !== null && this.#framingKeepsTrailers() ? lastChunk(trailers) : LAST_CHUNK)
    const upstream = this.#upstream!
    this.#upstream = null
    const { exchange } = this
    this.#compiled!.service!.balancer.ended(
      this.#target!,
      { type: 'status', status: exchange.upstreamStatus },
      exchange.upstreamLatencyMs,
    )
    this.#worker.pool.release(upstream)
    this.#finish()
    connection.endResponse()
  }

  onSwitchedProtocols(head: ResponseHead, socket: Socket, rest: Buffer | null): void {
    const { exchange } = this
    exchange.upstreamStatus = exchange.response.status = 101
    exchange.response.headers = head.headers
    exchange.upstreamLatencyMs = performance.now() - this.#sentMs
    this.#upstream = null
    if (!this.#isUpgrade) {
      socket.destroy()
      return this.#fail(UNASKED_UPGRADE)
    }
    this.#runResponseHeaders()
    const connection = this.#connection
    const { headers } = exchange.response
    headers.remove('Connection')
    headers.remove('Upgrade')
    const settings = this.#worker.settings
    let text =
      'HTTP/1.1 101 Switching Protocols\r\n' +
      headers.serialise(NOTHING_SKIPPED) +
      'Connection: upgrade\r\nUpgrade: websocket\r\n'
    if (settings.headers.requestId) text += 'X-Kong-Request-Id: ' + exchange.id + '\r\n'
    if (settings.headers.via) text += 'Via: 1.1 ' + settings.product + '\r\n'
    connection.writeText(text + '\r\n')
    this.#hasResponded = true
    const early = connection.detach()
    joinSockets(connection.socket, socket, early, rest, exchange.upstream.readTimeoutMs, (result) => {
      exchange.response.bytesSent += result.bytesToClient
      this.#compiled!.service!.balancer.ended(
        this.#target!,
        { type: 'status', status: 101 },
        exchange.upstreamLatencyMs,
      )
      this.#finish()
    })
  }

  // ---- answers of our own

  /** Ends the exchange with what a plugin, or the gateway in a plugin's manner, answers. */
  exit(exit: Exit): void {
    if (this.isOver) return
    this.exchange.response.source = 'exit'
    this.#answer(answerOfExit(this.exchange, exit, this.#worker.settings))
  }

  /** Ends the exchange with an error of the wire, of the upstream or of the gateway. */
  #fail(failure: WireFailure): void {
    if (this.isOver) return
    this.#worker.events.exchangeFailed(failure)
    this.exchange.response.source = 'error'
    this.#answer(answerOfFailure(this.exchange, failure, this.#worker.settings))
  }

  #answer({ status, headers, body: own, closes }: OwnAnswer): void {
    const { exchange } = this
    const connection = this.#connection
    const { response } = exchange
    response.status = status
    response.headers = headers
    if (this.#plan.responseHeaders.length > 0) this.#runResponseHeaders()
    let body = own
    if (this.#plan.responseBody.length > 0) {
      this.#startTransforms()
      if (this.#transforms !== null) body = transformWhole(this.#transforms, body ?? NO_BYTES)
    }
    if (closes || this.#worker.isDraining) connection.isLast = true
    const isBodyless = response.status === 204 || response.status === 304 || response.status < 200
    const framing = isBodyless ? 'none' : (body?.length ?? 0)
    const text = ownHead(
      exchange,
      framing,
      connection.isLast,
      performance.now() - this.#beganMs,
      this.#worker.settings,
      this.#worker.clock,
    )
    const sent = isBodyless || this.#head.method === 'HEAD' ? null : body
    this.#hasResponded = true
    response.headBytes = text.length
    response.bytesSent = text.length + (sent?.length ?? 0)
    connection.writeHead(text, sent)
    this.#finish()
    connection.endResponse()
  }

  /** The response had begun and can't be completed: the client must not take what it has for the whole. */
  #cut(failure: WireFailure): void {
    this.#worker.events.exchangeFailed(failure)
    this.exchange.response.source = 'error'
    this.exchange.error ??= new Error(`${failure.code}: ${failure.detail}`)
    this.#finish()
    this.#connection.abort()
  }

  #sendContinue(): void {
    if (this.#continueSent || !this.#head.expectsContinue || this.#hasResponded) return
    this.#continueSent = true
    this.#connection.writeText('HTTP/1.1 100 Continue\r\n\r\n')
  }

  // ---- from the client

  onRequestData(bytes: Buffer): void {
    const body = this.#body
    if (this.isOver || body === null) return
    body.onData(bytes, this.#connection.readsAreShared)
    if (body.isOverLimit && !this.#hasResponded && !this.isOver) {
      this.#dropUpstream()
      this.#fail(TOO_LARGE)
    }
  }

  onRequestEnd(trailers: HeaderList | null): void {
    this.#trailers = trailers
    if (!this.isOver) this.#body?.onEnd()
  }

  onClientGone(failure: WireFailure): void {
    if (this.isOver) return
    this.#dropUpstream()
    this.#body?.onAbort()
    if (failure.code !== 'CLIENT_ABORTED' && !this.#hasResponded) return this.#fail(failure)
    this.#worker.events.exchangeFailed(failure)
    this.exchange.response.source = 'error'
    if (!this.#hasResponded) this.exchange.response.status = 499
    this.#finish()
    if (failure.code !== 'CLIENT_ABORTED') this.#connection.abort()
  }

  onClientDrain(): void {
    this.#upstream?.resume()
  }

  /** A client that left needs no answer: the upstream's work is cancelled. */
  #dropUpstream(): void {
    const upstream = this.#upstream
    if (upstream === null) return
    this.#upstream = null
    upstream.destroy()
    this.#compiled!.service!.balancer.ended(this.#target!, { type: 'status', status: 499 }, 0)
  }

  #finish(): void {
    if (this.isOver) return
    this.isOver = true
    const { exchange } = this
    exchange.totalLatencyMs = performance.now() - this.#beganMs
    exchange.request.bytesReceived = this.#connection.bytesReceived
    const { log } = this.#plan
    for (let i = 0; i < log.length; i++) {
      const step = log[i]!
      try {
        step.run(exchange, step.instance.state)
      } catch (error) {
        this.#worker.events.pluginFailed(exchange, step.instance, 'log', error)
      }
    }
    this.#worker.inFlight--
    this.#worker.events.exchangeEnded(exchange, this.#compiled)
  }
}

const NO_HEADERS = new HeaderList()
const NOTHING_SKIPPED = new Uint8Array(256)
const OVERLOADED: WireFailure = {
  code: 'OVERLOADED',
  source: 'gateway',
  status: 503,
  retryable: false,
  detail: 'too many requests in flight',
}
const NO_TARGET_LEFT = upstreamFailure('CONNECT_FAILED', 503, false, 'no target is left to try')
const NO_BYTES = Buffer.alloc(0)
const TOO_LARGE = clientFailure('BODY_TOO_LARGE', 413, 'request body over its limit')
const UNASKED_UPGRADE = upstreamFailure('BAD_FRAMING', 502, false, 'the upstream switched protocols unasked')

function isWebSocket(head: RequestHead): boolean {
  return head.headers.getKnown(headerId['upgrade'])!.toLowerCase() === 'websocket'
}

function withPort(hostname: string, port: number, defaultPort: number): string {
  return port === defaultPort ? hostname : hostname + ':' + port
}

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':')
  return colon > 0 && host.indexOf(']') < colon ? host.slice(0, colon) : host
}
