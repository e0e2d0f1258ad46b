/**
 * Whatever our codec accepts, llhttp (what Node ships, in its strict form) accepts with the same meaning: method or status, target, fields,
 * and body. Requests are read by a whole server connection, responses by a whole upstream connection, on sockets in memory.
 */
import assert from 'node:assert/strict'
import { METHODS, Server, request, type IncomingMessage } from 'node:http'
import { test, type TestContext } from 'node:test'
import { Deadlines } from '#core/deadlines.ts'
import { Outbox } from '#http/outbox.ts'
import type { HeaderList } from '#http/header-list.ts'
import { ServerConnection } from '#http/server-connection.ts'
import { UpstreamConnection } from '#upstream/connection.ts'
import { effort, isFullEffort } from '../support/effort.ts'
import { MemorySocket } from '../support/memory-socket.ts'
import { createRandom, cutUp, mutate } from '../support/wire-mutation.ts'

const CASES = effort(50_000, 800_000)
const BATCH = 250
/** Fixed in the usual run; to repeat a long one, put its seed here. */
const SEED = isFullEffort() ? Date.now() % 2 ** 32 : 20_261_121

/** One message as a reader understood it. */
interface Understood {
  readonly line: string
  readonly fields: readonly string[]
  body: string
  trailers: readonly string[]
  isWhole: boolean
}

const REQUESTS = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /a/b?c=d HTTP/1.1\r\nHost: a:8000\r\nX-One: 1\r\nx-one:2\r\nAccept: */*\r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'PUT /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
  'POST /t HTTP/1.1\r\nHost: a\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n3;e=v\r\nabc\r\n0\r\nX-T: v\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n',
  'HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'DELETE /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
  'GET /w HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\nGET /in/body HTTP/1.1\r\nHost: a\r\n\r\n',
]
const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nX-T: v\r\n\r\n',
  'HTTP/1.1 204 No Content\r\nX-One: 1\r\nX-One: 2\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
  'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end',
  'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 404 \r\nContent-Length: 2\r\nServer:x\r\n\r\nno',
  'HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n',
]

/** Fields with these in their names are left out by rule, as nginx does. */
const DROPPED = /[!#$%&'*+.^`|~]/

/**
 * Where we take more on purpose: methods that nobody has registered, and bytes beyond ASCII in a target, as nginx does. They are refused
 * by llhttp, which is no other understanding.
 */
const KNOWN_METHODS = new Set(METHODS)
const isTakenByBoth = ({ line }: Understood) =>
  KNOWN_METHODS.has(line.slice(0, line.indexOf(' '))) && !/[\x80-\xff]/.test(line)

const pairs = (list: HeaderList | null) => (list === null ? [] : [...list].map(([name, value]) => `${name}: ${value}`))

function rawPairs(raw: readonly string[]): string[] {
  const list: string[] = []
  for (let i = 0; i < raw.length; i += 2) if (!DROPPED.test(raw[i]!)) list.push(`${raw[i]}: ${raw[i + 1]}`)
  return list
}

/** Path and query of a target: the authority of an absolute one has been compared with Host. */
function pathOf(url: string): string {
  const rest = url.replace(/^https?:\/\/[^/?]*/i, '')
  return rest === '' || rest.startsWith('?') ? '/' + rest : rest
}

function collect(message: IncomingMessage, line: string): Understood {
  const understood: Understood = { line, fields: rawPairs(message.rawHeaders), body: '', trailers: [], isWhole: false }
  message.on('data', (bytes: Buffer) => (understood.body += bytes.toString('latin1')))
  message.on('end', () => {
    understood.isWhole = message.complete
    understood.trailers = rawPairs(message.rawTrailers)
  })
  // A message that ends too soon is one that is not whole.
  message.on('error', () => undefined)
  return understood
}

const deadlines = new Deadlines()
deadlines.close()

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Reads a client's bytes with our server connection, which answers each request when it has read it whole. */
function readAsServer(socket: MemorySocket): Understood[] {
  const seen: Understood[] = []
  const refuse = () => socket.destroy()
  new ServerConnection(
    socket.asSocket,
    {
      onRequest(connection, head) {
        const target = head.rawPath + (head.query === null ? '' : '?' + head.query)
        const understood: Understood = {
          line: `${head.method} ${target} 1.${head.minor}`,
          fields: pairs(head.headers),
          body: '',
          trailers: [],
          isWhole: false,
        }
        seen.push(understood)
        const end = () => {
          understood.isWhole = true
          connection.writeHead('HTTP/1.1 204 N\r\n\r\n', null)
          connection.endResponse()
        }
        if (connection.isRequestRead) end()
        return {
          onRequestData: (bytes) => (understood.body += bytes.toString('latin1')),
          onRequestEnd(trailers) {
            understood.trailers = pairs(trailers)
            end()
          },
          onClientGone: refuse,
          onClientDrain: () => undefined,
        }
      },
      onBadRequest: refuse,
      onClose: () => undefined,
    },
    {
      requestLineBytes: 8192,
      headBytes: 15_000,
      fields: 100,
      headTimeoutMs: 1000,
      bodyTimeoutMs: 1000,
      sendTimeoutMs: 1000,
      idleTimeoutMs: 1000,
      requestsPerConnection: 1000,
    },
    deadlines,
    new Outbox(),
    { isTls: false, sni: null, tls: null, serverPort: 0, serial: 0, proxied: null },
  )
  return seen
}

const nodeServer = new Server({ maxHeaderSize: 65_536, insecureHTTPParser: false, requireHostHeader: false })
const seenByNode = new WeakMap<object, Understood[]>()
for (const event of ['request', 'checkContinue', 'checkExpectation'])
  nodeServer.on(event, (message: IncomingMessage) => {
    seenByNode
      .get(message.socket)!
      .push(collect(message, `${message.method} ${pathOf(message.url!)} ${message.httpVersion}`))
  })
// What is refused is missing in the list; what was understood before it is still handed over.
nodeServer.on('clientError', () => undefined)

/** Reads the same with Node's parser. */
function readAsNodeServer(socket: MemorySocket): Understood[] {
  const seen: Understood[] = []
  seenByNode.set(socket, seen)
  nodeServer.emit('connection', socket)
  return seen
}

/** Reads an upstream's bytes with our upstream connection. Interim responses are not listed; switching protocols ends it. */
function readAsUpstream(socket: MemorySocket, method: string): Understood[] {
  const seen: Understood[] = []
  const connection = new UpstreamConnection(socket.asSocket, 'key', false, deadlines, new Outbox(), () => undefined)
  let understood: Understood
  connection.begin(
    {
      onInterimResponse(head) {
        // llhttp takes the end that an interim response announces for one behind itself, we for one behind the final response.
        if (!head.keepAlive) connection.destroy()
      },
      onResponseHead(head, body, isWhole) {
        understood = {
          line: `${head.status} ${head.reason} 1.${head.minor}`,
          fields: pairs(head.headers),
          body: body === null ? '' : body.toString('latin1'),
          trailers: [],
          isWhole,
        }
        seen.push(understood)
      },
      onResponseData: (bytes) => (understood.body += bytes.toString('latin1')),
      onResponseEnd(trailers) {
        understood.isWhole = true
        understood.trailers = pairs(trailers)
      },
      onSwitchedProtocols: (_head, upgraded) => upgraded.destroy(),
      onUpstreamFailure: () => undefined,
      onUpstreamConnected: () => connection.writeHead(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`, null),
      onUpstreamDrain: () => undefined,
    },
    method,
    { connectMs: 1000, readMs: 1000, writeMs: 1000 },
    true,
  )
  socket.emit('connect')
  return seen
}

function readAsNodeClient(socket: MemorySocket, method: string): Understood[] {
  const seen: Understood[] = []
  const client = request({
    method,
    path: '/',
    host: 'a',
    maxHeaderSize: 65_536,
    createConnection: () => socket.asSocket,
  })
  client.on('response', (message) => {
    seen.push(collect(message, `${message.statusCode} ${message.statusMessage} ${message.httpVersion}`))
  })
  // Refusals are what is compared, by their absence from the list.
  client.on('error', () => undefined)
  client.end()
  return seen
}

interface Case {
  readonly text: string
  readonly ours: Understood[]
  readonly theirs: Understood[]
  readonly close: () => void
}

/** Asserts the promise; answers how many messages we took whole. */
function compare(
  text: string,
  ours: readonly Understood[],
  theirs: readonly Understood[],
  isKnown: (understood: Understood) => boolean,
): number {
  let whole = 0
  for (const [i, mine] of ours.entries()) {
    if (!isKnown(mine)) return whole
    const other = theirs[i]
    const explain = () =>
      `seed ${SEED}: ${shown(text)}\nours ${shown(mine)}\nllhttp ${other === undefined ? 'nothing' : shown(other)}`
    assert.ok(other !== undefined, `llhttp refuses what we accept: ${explain()}`)
    assert.equal(other.line, mine.line, explain())
    assert.deepEqual(other.fields, mine.fields, explain())
    if (!mine.isWhole) continue
    whole++
    assert.equal(other.isWhole, true, explain())
    assert.equal(other.body, mine.body, explain())
    assert.deepEqual(other.trailers, mine.trailers, explain())
    // llhttp stops here and leaves what follows to the new protocol.
    if (mine.fields.some((field) => /^upgrade:/i.test(field))) return whole
  }
  return whole
}

async function run(
  context: TestContext,
  corpus: readonly string[],
  feed: (text: string, pieces: readonly Buffer[], random: () => number) => Case,
  isKnown: (understood: Understood) => boolean,
): Promise<void> {
  const random = createRandom(SEED)
  let whole = 0
  for (let done = 0; done < CASES; done += BATCH) {
    const cases = Array.from({ length: BATCH }, () => {
      const text = mutate(corpus, random)
      return feed(text, cutUp(text, random), random)
    })
    await turns(24)
    for (const one of cases) {
      whole += compare(one.text, one.ours, one.theirs, isKnown)
      one.close()
    }
  }
  context.diagnostic(`seed ${SEED}: ${CASES} inputs, ${whole} messages understood by both in the same way`)
  assert.ok(whole > CASES / 10, 'enough of the inputs are messages at all')
}

test('llhttp understands every request that we accept as we do', async (context) => {
  await run(
    context,
    REQUESTS,
    (text, pieces) => {
      const mine = new MemorySocket()
      const other = new MemorySocket()
      const ours = readAsServer(mine)
      const theirs = readAsNodeServer(other)
      for (const bytes of pieces) mine.receive(bytes)
      other.receive(Buffer.from(text, 'latin1'))
      return { text, ours, theirs, close: () => closeAll(mine, other) }
    },
    isTakenByBoth,
  )
})

test('llhttp understands every response that we accept as we do', async (context) => {
  await run(
    context,
    RESPONSES,
    (text, pieces, random) => {
      const method = random() < 0.2 ? 'HEAD' : 'GET'
      const mine = new MemorySocket()
      const other = new MemorySocket()
      const ours = readAsUpstream(mine, method)
      const theirs = readAsNodeClient(other, method)
      for (const bytes of pieces) mine.receive(bytes)
      mine.receiveEnd()
      setImmediate(() => {
        other.receive(Buffer.from(text, 'latin1'))
        other.receiveEnd()
      })
      return { text, ours, theirs, close: () => closeAll(mine, other) }
    },
    () => true,
  )
})

function closeAll(...sockets: readonly MemorySocket[]): void {
  for (const socket of sockets) socket.destroy()
}

/** Bytes beyond ASCII as escapes: some of them look like spaces. */
function shown(value: unknown): string {
  return JSON.stringify(value).replace(/[\x7f-\xff]/g, (character) => '\\x' + character.charCodeAt(0).toString(16))
}
