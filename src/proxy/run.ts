/**
 * The life of one exchange, in the order in which things happen: read the head, match a route, run the access phase, choose
 * a target, send the request, pass the response back, log. Nothing is awaited that is not really asynchronous.
 */
import type { Socket } from 'node:net'
import type { WireFailure } from '#http/failure.ts'
import type { HeaderList } from '#http/header-list.ts'
import type { RequestHead } from '#http/request-head.ts'
import type { ResponseHead } from '#http/response-head.ts'
import type { ClientSide } from '#http/client-side.ts'
import type { RequestSink } from '#http/request-sink.ts'
import type { ChosenKind, Exchange, Exit, ServiceChooser, ServicePlace } from '#pdk/exchange.ts'
import type { Pick, PickedTarget } from '#balancer/contract.ts'
import type { ResponseSink } from '#upstream/connection.ts'
import type { UpstreamLink } from '#upstream/link.ts'
import type { CompiledRoute, CompiledService, Plan, Snapshot } from '#snapshot/snapshot.ts'
import { bodylessLength, clientFraming, keepsTrailers, proxiedHead, type ClientFraming } from './client-head.ts'
import { earlyHintsHead } from './early-hints.ts'
import { exitOfPickError, exitOfProtocol, NO_TARGET_LEFT, OVERLOADED, TOO_LARGE, TRANSFORM_FAILED } from './fail.ts'
import { answerOfExit, answerOfFailure, type OwnAnswer } from './own-answer.ts'
import { ownResponse } from './own-response.ts'
import { isPromise, PhaseRunner, type PhaseHost } from './access-phase.ts'
import { ChangedBody, type ChangedBodyHost } from './changed-body.ts'
import { holdResponse, type HeldResponse } from './held-response.ts'
import { AbsentBody, BodyFlow } from './request-body.ts'
import { OutgoingBody } from './outgoing-body.ts'
import { newExchange, takeRoute } from './read-request.ts'
import { changesOf, runLog, runResponseHeaders } from './response-phases.ts'
import { repeatedHead, repeatedPlan, takeRepeated } from './repeats.ts'
import { mayRetry } from './retry.ts'
import { failTry, startTry } from './tries.ts'
import { asksForWebSocket, switchOver, UNASKED_UPGRADE } from './upgrade.ts'
import { upstreamHead } from './upstream-head.ts'
import { linkTo } from './upstream-link.ts'
import { changeService, hostHeaderFor, placeOf, prepareUpstream, takeResponse, timeoutsOf } from './upstream-request.ts'
import type { WorkerContext } from './worker-context.ts'

export class ProxyRun implements RequestSink, ResponseSink, PhaseHost, ChangedBodyHost, ServiceChooser {
  readonly exchange: Exchange
  #worker: WorkerContext
  #connection: ClientSide
  #head: RequestHead
  #snapshot: Snapshot
  #beganMs: number
  #sentMs = 0
  #compiled: CompiledRoute | null = null
  /** The route's, or the one that a plugin chose. */
  #service: CompiledService | null = null
  #plan: Plan
  #body: BodyFlow | null = null
  readonly #noBody = new AbsentBody()
  readonly #outgoing: OutgoingBody
  #upstream: UpstreamLink | null = null
  #target: PickedTarget | null = null
  #tried: PickedTarget[] = []
  #retriesLeft = 0
  #isUpgrade = false
  #hostHeader = ''
  /** The method that the upstream is asked with. */
  #method = ''
  /** The response's body where plugins change it, or keep it back. */
  #changed: ChangedBody | HeldResponse | null = null
  #responseFraming: ClientFraming = 'none'
  #hasResponded = false
  isOver = false
  #continueSent = false

  constructor(worker: WorkerContext, connection: ClientSide, head: RequestHead, snapshot = worker.snapshot) {
    this.#worker = worker
    this.#connection = connection
    this.#head = head
    this.#snapshot = snapshot
    this.#plan = this.#snapshot.globalPlan
    this.#beganMs = performance.now()
    const { pluginBodyBytes } = worker.settings
    if (head.isChunked || head.contentLength > 0)
      this.#body = new BodyFlow(connection, head.contentLength, pluginBodyBytes, () => this.#sendContinue())
    this.#outgoing = new OutgoingBody(this.#body, connection)
    this.exchange = newExchange(worker, connection, head, this.#body ?? this.#noBody, this.#beganMs)
    worker.inFlight++
    this.#snapshot.inFlight++
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
    this.#service = compiled.service
    takeRoute(exchange, match, compiled, this)
    const refusal = exitOfProtocol(exchange, match.route)
    if (refusal !== null) return this.exit(refusal)
    if (compiled.service !== null) prepareUpstream(exchange, this.#head, compiled, compiled.service)
    const { access } = this.#plan
    if (access.length > 0) new PhaseRunner(this, this.#worker, this.#snapshot, compiled, 'access', access).run(0)
    else this.#proxyPass()
  }

  phaseDone(phase: 'rewrite' | 'access'): void {
    return phase === 'rewrite' ? this.#route() : this.#proxyPass()
  }
  setPlan(plan: Plan): void {
    this.#plan = plan
  }
  choose(kind: ChosenKind, nameOrId: string): boolean {
    const other = this.#snapshot.otherService(this.#compiled!, kind, nameOrId)
    if (other === null) return false
    changeService(this.exchange, this.#head, this.#compiled!, this.#service, other)
    this.#service = other
    return true
  }
  locate(nameOrId: string): ServicePlace | null | Promise<ServicePlace | null> {
    const other = this.#snapshot.otherService(this.#compiled!, 'service', nameOrId)
    return placeOf(this.exchange, this.#head, this.#compiled!, other)
  }

  repeat(plugin: string, withinMs: number, begin: (copy: Exchange) => void): boolean {
    const { repeats } = this.#worker
    const plan = this.#body === null && this.#noBody.made === null ? repeatedPlan(repeats, this.#plan, plugin) : null
    if (repeats === null || plan === null) return false
    const client = repeats.clientLike(this.#connection)
    const copy = new ProxyRun(repeats, client, repeatedHead(this.#head, this.exchange), this.#snapshot)
    copy.#compiled = this.#compiled
    copy.#service = this.#service
    copy.#plan = plan
    takeRepeated(copy.exchange, this.exchange, copy)
    begin(copy.exchange)
    client.limit(withinMs, copy)
    new PhaseRunner(copy, repeats, this.#snapshot, this.#compiled, 'access', plan.access).run(0)
    return true
  }

  // ---- towards the upstream
  #proxyPass(): void {
    const { exchange } = this
    const service = this.#service
    if (service === null) return this.exit(exchange.fail(503, 'no Service found with those values'))
    const head = this.#head
    this.#isUpgrade = asksForWebSocket(head)
    this.#retriesLeft = exchange.upstream.retries
    this.#method = exchange.upstream.method === '' ? exchange.request.method : exchange.upstream.method
    if (this.#body !== null && this.#body.isOverLimit) return this.#fail(TOO_LARGE)
    // A call of gRPC may be a conversation, whose upstream answers before the body ends.
    const isStreamed = !exchange.route!.request_buffering || service.isHttp2
    const limit = this.#worker.settings.bodyBufferBytes
    if (this.#outgoing.decide(head, this.#noBody.made, isStreamed, limit, () => this.#pick())) this.#pick()
  }

  #pick(): void {
    if (this.isOver) return
    const service = this.#service!
    const hash = service.hashInput === null ? null : service.hashInput(this.exchange)
    const picked = service.balancer.pick(hash, this.#tried)
    if (!isPromise(picked)) return this.#connect(picked)
    const connect = (pick: Pick): void => this.#connect(pick)
    picked.then(connect, (error: unknown) => connect({ ok: false, code: 'resolve_failed', message: String(error) }))
  }

  #connect(pick: Pick): void {
    if (this.isOver) return
    if (!pick.ok) {
      // Kong's balancer phase, which picks for the second try, can only answer in nginx's manner.
      if (this.#tried.length > 0) return this.#fail(NO_TARGET_LEFT)
      this.exchange.upstream.isUnreachable = true
      return this.exit(exitOfPickError(this.exchange, this.exchange.upstream.host, pick))
    }
    const { exchange } = this
    const service = this.#service!
    const { target } = pick
    this.#target = target
    this.#hostHeader = hostHeaderFor(exchange, service, target)
    this.#outgoing.settle()
    startTry(exchange, target, performance.now())
    service.balancer.started(target)
    const connection = linkTo(this.#worker, service, target, this.#hostHeader, this.#isUpgrade, exchange.request)
    this.#upstream = connection
    connection.begin(this, exchange.request.method, timeoutsOf(exchange), this.#outgoing.goesWithHead)
    if (connection.isConnected) this.onUpstreamConnected()
  }

  onUpstreamConnected(): void {
    const connection = this.#upstream!
    const { exchange } = this
    const now = performance.now()
    this.#sentMs = now
    exchange.proxyLatencyMs = now - this.#beganMs
    exchange.tries[exchange.tries.length - 1]!.latencyMs = Math.round(exchange.proxyLatencyMs)
    const body = this.#outgoing
    body.settle()
    const client = this.#connection
    const host = this.#hostHeader
    const { settings } = this.#worker
    const head = upstreamHead(client, exchange, this.#method, this.#head, host, body.framing, this.#isUpgrade, settings)
    body.send(connection, head)
  }

  onUpstreamDrain(): void {
    this.#body?.resume()
  }
  onUpstreamFailure(failure: WireFailure): void {
    const upstream = this.#upstream!
    const target = this.#target!
    this.#upstream = null
    const isReplayable = !upstream.hasSent || this.#outgoing.isReplayable
    this.#outgoing.detach()
    const isOpen = !this.isOver && !this.#hasResponded && this.#retriesLeft > 0 && isReplayable
    const isAllowed = isOpen && mayRetry(failure, this.#method, upstream.hasSent)
    const isRetried = isAllowed && this.#service!.balancer.takeRetry()
    const outcome = failTry(this.exchange, failure, isRetried)
    this.#service!.balancer.ended(target, outcome, performance.now() - this.#sentMs)
    if (this.isOver) return
    if (this.#hasResponded) return this.#cut(failure)
    this.#changed?.close()
    this.#changed = null
    if (!isRetried) return this.#fail(failure)
    this.#retriesLeft--
    this.#tried.push(target)
    this.#body?.hold()
    this.#pick()
  }

  // ---- back to the client
  onInterimResponse(head: ResponseHead): void {
    // 100 was answered by the gateway; early hints (103) are for the client (RFC 8297).
    if (head.status !== 103 || this.#head.minor === 0 || this.#hasResponded) return
    this.#connection.writeInterim(earlyHintsHead(head))
  }

  onResponseHead(head: ResponseHead, body: Buffer | null, isWhole: boolean): void {
    const { exchange } = this
    const { response } = exchange
    exchange.upstreamLatencyMs = performance.now() - this.#sentMs
    takeResponse(exchange, head, this.#service!)
    if (this.#plan.seesResponses) {
      if (this.#plan.responseHold.length > 0 && this.#hold(head, body, isWhole)) return
      runResponseHeaders(this.#plan, exchange, this.#worker.events)
      if (response.replacement !== null) {
        this.#endUpstream(isWhole)
        return this.#answerOwn(response.replacement, false, true, null)
      }
    }
    const hasBody = head.framing !== 'none'
    let length = !hasBody ? bodylessLength(head, this.#head) : head.framing === 'length' ? head.contentLength : -1
    const changes = changesOf(this.#plan, exchange, length, this.#worker.events)
    if (changes !== null && changes.hasOtherLength) length = -1
    this.#responseFraming = clientFraming(hasBody, length, response.status, this.#head.minor)
    const connection = this.#connection
    if (this.#responseFraming === 'close' || this.#worker.isDraining) connection.isLast = true
    const { settings, clock } = this.#worker
    const hasTrailers = keepsTrailers(this.#responseFraming, this.#head)
    const text = proxiedHead(exchange, head, this.#responseFraming, connection.isLast, hasTrailers, settings, clock)
    this.#hasResponded = true
    response.headBytes = response.bytesSent = text.length
    if (hasBody && changes !== null) {
      const { transforms, encoding } = changes
      this.#changed = new ChangedBody(this, connection, response, this.#responseFraming, transforms, encoding)
      connection.writeHead(text, null)
      if (body !== null) this.onResponseData(body)
    } else {
      response.bytesSent += body === null ? 0 : body.length
      if (!connection.writeHead(text, body) && !isWhole) this.#upstream!.pause()
    }
    if (isWhole) this.onResponseEnd(null)
  }

  /** Whether a plugin takes the response whole. */
  #hold(head: ResponseHead, body: Buffer | null, isWhole: boolean): boolean {
    const held = holdResponse(this, this.#plan, head, this.#snapshot, this.#worker.events)
    if (held === null) return false
    this.#changed = held
    if (body !== null) this.onResponseData(body)
    if (isWhole && this.#changed === held) this.onResponseEnd(null)
    return true
  }

  responseHeld(head: ResponseHead, result: Buffer | Exit): void {
    this.#changed = null
    this.#endUpstream(false)
    if (!Buffer.isBuffer(result)) return this.exit(result)
    runResponseHeaders(this.#plan, this.exchange, this.#worker.events)
    const { replacement } = this.exchange.response
    this.#answerOwn(replacement ?? result, false, replacement !== null, head)
  }

  onResponseData(bytes: Buffer): void {
    if (this.isOver) return
    const upstream = this.#upstream!
    let isFlowing: boolean
    if (this.#changed !== null) isFlowing = this.#changed.write(bytes, upstream.readsAreShared)
    else {
      if (bytes.length === 0) return
      this.exchange.response.bytesSent += bytes.length
      isFlowing =
        this.#responseFraming === 'chunked'
          ? this.#connection.writeChunk(bytes)
          : this.#connection.write(bytes, upstream.readsAreShared)
    }
    if (!isFlowing) this.#upstream?.pause()
  }

  onResponseEnd(trailers: HeaderList | null): void {
    if (this.isOver) return
    const changed = this.#changed
    if (changed === null) return this.changedBodyEnded(trailers)
    const isWhole = changed.end(trailers)
    if (this.isOver) return
    if (isWhole) this.changedBodyEnded(trailers)
    else this.#endUpstream(true)
  }

  /** Every byte of the body is written. */
  changedBodyEnded(trailers: HeaderList | null): void {
    const hasTrailers = trailers !== null && trailers.size > 0 && keepsTrailers(this.#responseFraming, this.#head)
    if (this.#responseFraming === 'chunked') this.#connection.endChunks(hasTrailers ? trailers : null)
    this.#endUpstream(true)
    this.#finish()
    this.#connection.endResponse()
  }

  /** The upstream has answered, and nothing more is wanted of it; when it has said all, its connection is for others. */
  #endUpstream(isWhole: boolean): void {
    const upstream = this.#upstream
    if (upstream === null) return
    this.#upstream = null
    this.#judge(this.exchange.upstreamStatus, this.exchange.upstreamLatencyMs)
    if (isWhole) return this.#worker.pool.release(upstream)
    this.#outgoing.detach()
    upstream.destroy()
  }

  #judge(status: number, latencyMs: number): void {
    this.#service!.balancer.ended(this.#target!, { type: 'status', status }, latencyMs)
  }

  changedBodyDrained(): void {
    this.#upstream?.resume()
  }

  /** The client must not see the rest unchanged. */
  changedBodyFailed(error: Error | null): void {
    if (error !== null) this.exchange.error = error
    this.#dropUpstream()
    this.#cut(TRANSFORM_FAILED)
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
    runResponseHeaders(this.#plan, exchange, this.#worker.events)
    this.#hasResponded = true
    switchOver(this.#connection, exchange, socket, rest, this.#worker.settings, () => {
      this.#judge(101, exchange.upstreamLatencyMs)
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

  #answer({ status, headers, body, closes, isStored }: OwnAnswer): void {
    const { response } = this.exchange
    response.status = status
    response.headers = headers
    if (this.#plan.responseHeaders.length > 0) runResponseHeaders(this.#plan, this.exchange, this.#worker.events)
    const { replacement } = response
    this.#answerOwn(replacement ?? body, closes, isStored || replacement !== null, null)
  }

  /** The head and what plugins make of it stand. `of`: the head of the upstream's response that it is; null for none. */
  #answerOwn(made: Buffer | null, closes: boolean, isStored: boolean, of: ResponseHead | null): void {
    const { exchange } = this
    const { response } = exchange
    const connection = this.#connection
    if (closes || this.#worker.isDraining) connection.isLast = true
    const latencyMs = performance.now() - this.#beganMs
    const own = ownResponse(this.#worker, this.#plan, exchange, this.#head, connection, made, isStored, of, latencyMs)
    const { head, body, encoding } = own
    this.#hasResponded = true
    response.headBytes = response.bytesSent = head.length
    if (encoding !== null) {
      this.#responseFraming = own.framing
      this.#changed = new ChangedBody(this, connection, response, own.framing, null, encoding)
      connection.writeHead(head, null)
      this.#changed.write(body!, false)
      this.#changed.end(null)
      return
    }
    if (body !== null) response.bytesSent += body.length
    connection.writeHead(head, body)
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
    this.#connection.writeInterim('HTTP/1.1 100 Continue\r\n\r\n')
  }

  // ---- from the client
  onRequestData(bytes: Buffer): void {
    const body = this.#body
    if (this.isOver || body === null) return
    body.onData(bytes, this.#connection.readsAreShared)
    if (body.isOverLimit && !this.#hasResponded && !this.isOver) {
      this.#dropUpstream()
      this.#changed?.close()
      this.#fail(TOO_LARGE)
    }
  }

  onRequestEnd(trailers: HeaderList | null): void {
    this.#outgoing.trailers = trailers
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
    if (this.#changed === null || !this.#changed.resume()) this.#upstream?.resume()
  }

  /** A client that left needs no answer: the upstream's work is cancelled. */
  #dropUpstream(): void {
    const upstream = this.#upstream
    if (upstream === null) return
    this.#upstream = null
    this.#outgoing.detach()
    upstream.destroy()
    this.#judge(499, 0)
  }

  #finish(): void {
    if (this.isOver) return
    this.isOver = true
    this.#changed?.close()
    const { exchange } = this
    exchange.totalLatencyMs = performance.now() - this.#beganMs
    exchange.request.bytesReceived = this.#connection.bytesReceived
    runLog(this.#plan, exchange, this.#worker.events)
    this.#worker.inFlight--
    this.#snapshot.inFlight--
    this.#worker.events.exchangeEnded(exchange, this.#compiled)
  }
}
