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
import { normalizePath, upstreamPath, escapeUpstreamPath } from '#router/path.ts'
import type { UpstreamConnection, ResponseSink } from '#upstream/connection.ts'
import { poolKey } from '#upstream/pool.ts'
import type { CompiledRoute, CompiledService, Plan, Snapshot, Step } from '#snapshot/snapshot.ts'
import { cleanResponseFields, ownHead, proxiedHead, type ClientFraming } from './client-head.ts'
import { exitOfPickError, exitOfFailure, exitOfProtocol } from './fail.ts'
import { errorBody } from './error-body.ts'
import { BodyFlow, NO_BODY, type BodyTarget } from './request-body.ts'
import { mayRetry } from './retry.ts'
import { transformAll, transformEnd } from './response-transform.ts'
import { statusLine } from './reasons.ts'
import { joinSockets } from './tunnel.ts'
import { upstreamHead, type BodyFraming } from './upstream-head.ts'
import type { WorkerContext } from './worker-context.ts'

export class ProxyRun implements RequestSink, ResponseSink, BodyTarget {
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
  #upstream: UpstreamConnection | null = null
  #target: PickedTarget | null = null
  #tried: PickedTarget[] = []
  #retriesLeft = 0
  #isUpgrade = false
  /** How the request's body goes out; decided once. */
  #framing: BodyFraming = 'none'
  /** The whole body, when it goes out with the head and may go out again. */
  #wholeBody: Buffer | null = null
  #transforms: BodyTransform[] | null = null
  #responseFraming: ClientFraming = 'none'
  #hasResponded = false
  #isOver = false
  #continueSent = false

  constructor(worker: WorkerContext, connection: ServerConnection, head: RequestHead) {
    this.#worker = worker
    this.#connection = connection
    this.#head = head
    this.#snapshot = worker.snapshot
    this.#plan = this.#snapshot.globalPlan
    this.#beganMs = performance.now()
    if (head.isChunked || head.contentLength > 0)
      this.#body = new BodyFlow(connection, head.contentLength, () => this.#sendContinue())
    const request = new ClientRequest(head.headers, this.#body ?? NO_BODY)
    this.exchange = new Exchange(
      worker.newRequestId(),
      Math.round(performance.timeOrigin + this.#beganMs),
      request,
      new ClientResponse(NO_HEADERS),
    )
    this.#readRequest(request)
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
    if (rewrite.length > 0) this.#runSteps(rewrite, 0, 'rewrite', () => this.#route())
    else this.#route()
  }

  #readRequest(request: ClientRequest): void {
    const connection = this.#connection
    const head = this.#head
    request.method = head.method
    request.rawPath = head.rawPath
    request.path = head.isPathNormal ? head.rawPath : normalizePath(head.rawPath)
    request.query = head.query
    request.httpVersion = head.minor === 1 ? '1.1' : '1.0'
    request.scheme = connection.isTls ? 'https' : 'http'
    request.sni = connection.sni
    request.peerIp = connection.peerIp
    request.peerPort = connection.peerPort
    request.serverIp = connection.serverIp
    request.serverPort = connection.serverPort
    request.listenerPort = this.#worker.settings.portMaps.get(connection.serverPort) ?? connection.serverPort
    request.hostHeader = head.host
    const { host, port } = connection.hostOf(head.host)
    request.host = host
    request.hasHostPort = port !== 0
    request.port = port === 0 ? request.listenerPort : port
    request.isTrusted = this.#worker.trust.isTrusted(connection.peerIp)
    request.clientIp = request.isTrusted
      ? this.#worker.trust.realIp(connection.peerIp, head.headers)
      : connection.peerIp
    request.clientPort = connection.peerPort
  }

  #route(): void {
    const { exchange } = this
    const match = this.#snapshot.router.match(exchange.request)
    if (match === null) return this.#exit(exchange.fail(404, 'no Route matched with those values'))
    const compiled = this.#snapshot.compiled(match.route)
    this.#compiled = compiled
    this.#plan = compiled.plan
    exchange.route = match.route
    exchange.matchedPath = match.matchedPath
    exchange.captures = match.captures
    exchange.service = compiled.service === null ? null : compiled.service.service
    const refusal = exitOfProtocol(exchange, match.route)
    if (refusal !== null) return this.#exit(refusal)
    if (compiled.service !== null) this.#prepareUpstream(compiled.service, match.matchedPath)
    this.#runAccess(0)
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
    upstream.path = this.#head.isPathPlain ? path : escapeUpstreamPath(path)
    upstream.strippedPrefix =
      route!.strip_path && matchedPath !== null && matchedPath !== '/' && matchedPath !== '' ? matchedPath : null
    upstream.retries = service.retries
    upstream.connectTimeoutMs = service.timeouts.connectMs
    upstream.writeTimeoutMs = service.timeouts.writeMs
    upstream.readTimeoutMs = service.timeouts.readMs
    if (route!.preserve_host) upstream.hostHeader = request.hostHeader
  }

  #runAccess(from: number): void {
    let { access } = this.#plan
    for (let i = from; i < access.length; i++) {
      const step = access[i]!
      const consumerBefore = this.exchange.consumer
      let result: void | Exit | Promise<void | Exit>
      try {
        result = step.run(this.exchange, step.instance.state)
      } catch (error) {
        return this.#pluginFailed(step, 'access', error)
      }
      if (result !== undefined) {
        if (!isPromise(result)) return this.#exit(result)
        result.then(
          (exit) => {
            if (this.#isOver) return
            if (exit !== undefined) return this.#exit(exit)
            this.#runAccess(this.#continueAt(step, i, consumerBefore))
          },
          (error: unknown) => {
            if (!this.#isOver) this.#pluginFailed(step, 'access', error)
          },
        )
        return
      }
      if (this.exchange.consumer !== consumerBefore) {
        i = this.#continueAt(step, i, consumerBefore) - 1
        access = this.#plan.access
      }
    }
    this.#proxyPass()
  }

  /** Index of the next access step; when the consumer changed, in the plan for that consumer. */
  #continueAt(step: Step<unknown>, index: number, consumerBefore: unknown): number {
    const compiled = this.#compiled!
    if (this.exchange.consumer === consumerBefore || !compiled.hasConsumerPlans) return index + 1
    const plan = this.#snapshot.consumerPlan(compiled, this.exchange)
    if (plan === this.#plan) return index + 1
    const done = new Set(this.#plan.access.slice(0, index + 1).map((before) => before.instance.name))
    this.#plan = plan
    const { name } = step.instance
    let next = plan.access.findIndex((other) => other.instance.name === name) + 1
    while (next < plan.access.length && done.has(plan.access[next]!.instance.name)) next++
    return next
  }

  #runSteps(
    steps: readonly Step<void | Exit | Promise<void | Exit>>[],
    from: number,
    phase: string,
    then: () => void,
  ): void {
    for (let i = from; i < steps.length; i++) {
      const step = steps[i]!
      let result: void | Exit | Promise<void | Exit>
      try {
        result = step.run(this.exchange, step.instance.state)
      } catch (error) {
        return this.#pluginFailed(step, phase, error)
      }
      if (result === undefined) continue
      if (!isPromise(result)) return this.#exit(result)
      result.then(
        (exit) => {
          if (this.#isOver) return
          if (exit !== undefined) this.#exit(exit)
          else this.#runSteps(steps, i + 1, phase, then)
        },
        (error: unknown) => {
          if (!this.#isOver) this.#pluginFailed(step, phase, error)
        },
      )
      return
    }
    then()
  }

  #pluginFailed(step: Step<unknown>, phase: string, error: unknown): void {
    this.#worker.events.pluginFailed(this.exchange, step.instance, phase, error)
    this.exchange.error = error instanceof Error ? error : new Error(String(error))
    if ((error as { code?: unknown } | null)?.code === 'STORE_UNAVAILABLE') {
      return this.#exit(
        this.exchange.fail(503, 'The configuration store is unavailable', { headers: { 'Retry-After': '1' } }),
      )
    }
    this.#exit(this.exchange.fail(500, 'An unexpected error occurred'))
  }

  // ---- towards the upstream

  #proxyPass(): void {
    const { exchange } = this
    const service = this.#compiled!.service
    if (service === null) return this.#exit(exchange.fail(503, 'no Service found with those values'))
    const head = this.#head
    this.#isUpgrade = head.hasUpgrade && (head.connection & CONNECTION_UPGRADE) !== 0 && isWebSocket(head)
    this.#retriesLeft = exchange.upstream.retries
    const body = this.#body
    if (body === null) {
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
      return this.#pick()
    }
    // Small bodies are read whole first: the upstream gets a Content-Length in one write, and the request may be sent again.
    body.collect(limit, (result) => {
      if (this.#isOver) return
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
          if (!this.#isOver) this.#connect(pick)
        },
        (error: unknown) => {
          if (!this.#isOver) this.#connect({ ok: false, code: 'resolve_failed', message: String(error) })
        },
      )
    } else this.#connect(picked)
  }

  #connect(pick: Pick): void {
    if (!pick.ok) return this.#exit(exitOfPickError(this.exchange, this.exchange.upstream.host, pick))
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
  #hostHeader = ''

  onUpstreamConnected(): void {
    const connection = this.#upstream!
    const { exchange } = this
    const now = performance.now()
    this.#sentMs = now
    exchange.proxyLatencyMs = now - this.#beganMs
    exchange.tries[exchange.tries.length - 1]!.latencyMs = Math.round(exchange.proxyLatencyMs)
    const head = upstreamHead(
      exchange,
      this.#head,
      this.#hostHeader,
      this.#framing,
      this.#isUpgrade,
      this.#worker.settings,
    )
    const body = this.#body
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
      !this.#isOver &&
      !this.#hasResponded &&
      this.#retriesLeft > 0 &&
      isReplayable &&
      mayRetry(failure, this.exchange.request.method, upstream.hasSent)
    this.#noteFailedTry(failure, target, isRetried)
    if (this.#isOver) return
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
    if (this.#transforms !== null) {
      connection.writeHead(text, null)
      if (body !== null) this.onResponseData(body)
    } else {
      response.bytesSent = text.length + (body === null ? 0 : body.length)
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
  #exit(exit: Exit): void {
    const { exchange } = this
    exchange.response.source = 'exit'
    const headers = HeaderList.from(exit.headers)
    let body: Buffer | null = null
    if (exit.message !== null) {
      const made = errorBody(
        exit.status,
        exit.message,
        exchange.id,
        exchange.request.headers.get('accept'),
        this.#worker.settings.problemDetails ? 'application/problem+json' : 'application/json',
      )
      if (!headers.has('content-type')) headers.append('Content-Type', made.contentType)
      body = Buffer.from(made.body)
    } else {
      if (exit.contentType !== null && !headers.has('content-type')) headers.append('Content-Type', exit.contentType)
      if (exit.body !== null) body = typeof exit.body === 'string' ? Buffer.from(exit.body) : exit.body
    }
    this.#respondOwn(exit.status, headers, body)
  }

  /** Ends the exchange with an error of the wire, of the upstream or of the gateway. */
  #fail(failure: WireFailure): void {
    const { exchange } = this
    const { status, message, closes, retryAfter } = exitOfFailure(failure)
    const settings = this.#worker.settings
    this.#worker.events.exchangeFailed(failure)
    exchange.response.source = 'error'
    const { headers } = exchange.request
    const fallback = settings.problemDetails
      ? 'application/problem+json'
      : (headers.getKnown(CONTENT_TYPE) ?? settings.errorDefaultType)
    const made = errorBody(status, message, exchange.id, headers.get('accept'), fallback)
    const own = new HeaderList()
    own.append('Content-Type', made.contentType)
    if (retryAfter !== null) own.append('Retry-After', retryAfter)
    this.#respondOwn(status, own, Buffer.from(made.body), closes)
  }

  #respondOwn(status: number, headers: HeaderList, body: Buffer | null, closes = false): void {
    const { exchange } = this
    const connection = this.#connection
    const { response } = exchange
    if (this.#isOver) return
    response.status = status
    response.headers = headers
    if (this.#plan.responseHeaders.length > 0) this.#runResponseHeaders()
    if (this.#plan.responseBody.length > 0) {
      this.#startTransforms()
      if (this.#transforms !== null)
        body = Buffer.concat([
          transformAll(this.#transforms, body ?? Buffer.alloc(0)) ?? Buffer.alloc(0),
          transformEnd(this.#transforms) ?? Buffer.alloc(0),
        ])
    }
    if (closes || this.#worker.isDraining) connection.isLast = true
    const isBodyless = status === 204 || status === 304 || status < 200
    const text = ownHead(
      exchange,
      isBodyless ? 'none' : (body?.length ?? 0),
      connection.isLast,
      performance.now() - this.#beganMs,
      this.#worker.settings,
      this.#worker.clock,
    )
    const sent = isBodyless || exchange.request.method === 'HEAD' ? null : body
    this.#hasResponded = true
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
    if (this.#isOver || body === null) return
    body.onData(bytes, this.#connection.readsAreShared)
    if (body.isOverLimit && !this.#hasResponded && !this.#isOver) {
      this.#dropUpstream()
      this.#fail(TOO_LARGE)
    }
  }

  onRequestEnd(trailers: HeaderList | null): void {
    this.#trailers = trailers
    if (!this.#isOver) this.#body?.onEnd()
  }

  onClientGone(failure: WireFailure): void {
    if (this.#isOver) return
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
    if (this.#isOver) return
    this.#isOver = true
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

const CONTENT_TYPE = headerId['content-type']
const NO_HEADERS = new HeaderList()
const NOTHING_SKIPPED = new Uint8Array(256)
const OVERLOADED: WireFailure = {
  code: 'OVERLOADED',
  source: 'gateway',
  status: 503,
  retryable: false,
  detail: 'too many requests in flight',
}
const TOO_LARGE = clientFailure('BODY_TOO_LARGE', 413, 'request body over its limit')
const UNASKED_UPGRADE = upstreamFailure('BAD_FRAMING', 502, false, 'the upstream switched protocols unasked')

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown }).then === 'function'
}

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
