/** The known forms of smuggling over a whole gateway: each gets its status and the end, nothing of it reaches an upstream, and it is counted. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { Received, settle } from '../support/socket-pair.ts'
import { startRawUpstream, type Upstream } from '../support/upstream-server.ts'

const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

let gateway: Gateway
let upstream: Upstream
/** What the upstream was sent, by connection, and how it answers the request that it has. */
const sent: { text: string; socket: Socket }[] = []
let answer = GOOD

before(async () => {
  upstream = await startRawUpstream((socket) => {
    const record = { text: '', socket }
    sent.push(record)
    socket.on('data', (bytes: Buffer) => {
      record.text += bytes.toString('latin1')
      if (record.text.endsWith('\r\n\r\n') || record.text.endsWith('hello')) socket.write(answer, 'latin1')
    })
  })
  gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          url: `http://127.0.0.1:${upstream.port}`,
          retries: 0,
          routes: [{ name: 'r', paths: ['/'] }],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

/** The sum of a counter over its series, those that match. */
async function counted(name: string, series = ''): Promise<number> {
  const text = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith(name) && line.includes(series))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

/** Metrics of workers reach the main thread at intervals. */
async function untilCounted(name: string, series: string, atLeast: number): Promise<void> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const count = await counted(name, series)
    if (count >= atLeast) return
    assert.ok(Date.now() < deadline, `${name}{${series}} is ${count}, not ${atLeast}, after 10 s`)
    await settle(100)
  }
}

async function open(): Promise<{ socket: Socket; received: Received }> {
  const socket = connect(gateway.proxyPort, '127.0.0.1')
  const received = new Received(socket)
  return { socket, received }
}

const field = (...lines: readonly string[]) =>
  `POST /evil HTTP/1.1\r\nHost: a\r\n${lines.map((l) => `${l}\r\n`).join('')}\r\n`
const line = (text: string) => `${text}\r\nHost: a\r\n\r\n`
const CHUNKED = 'Transfer-Encoding: chunked'
/** What an attacker would have the upstream take for a request of its own. */
const SMUGGLED = 'GET /evil-smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

const REQUESTS: readonly (readonly [what: string, text: string, status: number])[] = [
  ['CL.TE', field('Content-Length: 6', CHUNKED) + '0\r\n\r\nG', 400],
  ['TE.CL', field(CHUNKED, 'Content-Length: 4') + `2b\r\n${SMUGGLED}\r\n0\r\n\r\n`, 400],
  ['CL.CL', field('Content-Length: 5', `Content-Length: ${SMUGGLED.length + 5}`) + 'hello' + SMUGGLED, 400],
  ['CL.CL with one number', field('Content-Length: 5', 'Content-Length: 5') + 'hello', 400],
  ['a list of lengths', field('Content-Length: 5, 5') + 'hello', 400],
  ['a length with +', field('Content-Length: +5') + 'hello', 400],
  ['a negative length', field('Content-Length: -5') + SMUGGLED, 400],
  ['a length in hexadecimal', field('Content-Length: 0x5') + 'hello', 400],
  ['TE.TE with identity', field(CHUNKED, 'Transfer-Encoding: identity') + '0\r\n\r\n', 400],
  ['TE.TE twice', field(CHUNKED, CHUNKED) + '0\r\n\r\n', 400],
  ['xchunked', field('Transfer-Encoding: xchunked') + '0\r\n\r\n', 501],
  ['chunked, chunked', field('Transfer-Encoding: chunked, chunked') + '0\r\n\r\n', 501],
  ['chunked, identity', field('Transfer-Encoding: chunked, identity') + '0\r\n\r\n', 501],
  ['a vertical tab before chunked', field('Transfer-Encoding: \x0bchunked') + '0\r\n\r\n', 400],
  ['a space before the colon', field('Transfer-Encoding : chunked') + '0\r\n\r\n', 400],
  ['a folded coding', field('Transfer-Encoding:', ' chunked') + '0\r\n\r\n', 400],
  ['a bare LF that hides a coding', field('X: y\nTransfer-Encoding: chunked') + '0\r\n\r\n', 400],
  ['a bare CR that hides a coding', field('X: y\rTransfer-Encoding: chunked') + '0\r\n\r\n', 400],
  ['chunked in HTTP/1.0', `POST /evil HTTP/1.0\r\nHost: a\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`, 400],
  ['bare LF all over', 'GET /evil HTTP/1.1\nHost: a\n\n', 400],
  ['NUL in a value', field('X: \0'), 400],
  ['NUL in a name', field('X\0: y'), 400],
  ['a control in the target', line('GET /evil\x01 HTTP/1.1'), 400],
  ['a request in the target', line(`GET /evil\r\nX: y HTTP/1.1`), 400],
  ['two Hosts', field('Host: b'), 400],
  ['no Host', 'GET /evil HTTP/1.1\r\n\r\n', 400],
  ['an empty Host', 'GET /evil HTTP/1.1\r\nHost:\r\n\r\n', 400],
  ['another authority than Host', line('GET http://b/evil HTTP/1.1'), 400],
  ['HTTP/2 in a first line', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ['HTTP/3.0', line('GET /evil HTTP/3.0'), 505],
  ['no version', line('GET /evil'), 400],
  ['a request line without end', `GET /evil${'x'.repeat(70_000)}`, 414],
  ['a head without end', `GET /evil HTTP/1.1\r\nHost: a\r\n${'X: yyyyyyyyyyyyyyyyyyyyyyy\r\n'.repeat(6000)}`, 400],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 405],
  ['an unknown expectation', field('Expect: x'), 417],
  ['TLS to the plain port', '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03', 400],
]
const BODIES: readonly (readonly [what: string, text: string])[] = [
  ['a chunk size with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size in 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size over 2^64', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['a bare LF after a chunk size', '5\nhello\r\n0\r\n\r\n'],
  ['a bare LF in a chunk extension', '5;a\nhello\r\n0\r\n\r\n'],
  ['a line end in a quoted chunk extension', '5;a="\r\nhello\r\n0\r\n\r\n'],
  ['a chunk extension without end', `5;${'a'.repeat(500)}\r\nhello\r\n0\r\n\r\n`],
  ['a chunk that is longer than it says', '5\r\nhelloo\r\n0\r\n\r\n'],
  ['a length in the trailers', '5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n'],
  ['a coding in the trailers', '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'],
]

async function refused(text: string, status: number, counter: string): Promise<void> {
  const before = await counted(counter)
  const { socket, received } = await open()
  // Behind each stands a good request, which must not be served on this connection any more.
  socket.write(text, 'latin1')
  socket.write(SMUGGLED, 'latin1')
  await received.untilEnd()
  socket.destroy()
  assert.match(received.text, new RegExp(`^HTTP/1\\.1 ${status} `))
  assert.equal(received.text.split('HTTP/1.1 ').length, 2, `one answer: ${JSON.stringify(received.text)}`)
  assert.match(received.text, /\r\nConnection: close\r\n/)
  assert.deepEqual(
    sent.filter(({ text: bytes }) => bytes.includes('evil')),
    [],
    'nothing is forwarded',
  )
  await untilCounted(counter, '', before + 1)
}

test('the gateway serves what is well formed', async () => {
  const { socket, received } = await open()
  socket.write('POST /good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n')
  await received.untilText('ok')
  socket.write('GET /good HTTP/1.1\r\nHost: a\r\n\r\n')
  await received.untilText('ok', 2)
  socket.destroy()
  assert.match(sent[0]!.text, /^POST \/good HTTP\/1\.1\r\n[^]*\r\nContent-Length: 5\r\n[^]*hello/)
})

for (const [what, text, status] of REQUESTS) {
  test(`a request with ${what} gets ${status}, the end, and is not forwarded`, () =>
    refused(text, status, 'meridian_rejected_requests_total'))
}

for (const [what, body] of BODIES) {
  test(`a body with ${what} gets 400, the end, and is not forwarded`, () =>
    refused(field(CHUNKED) + body, 400, 'meridian_failed_exchanges_total'))
}

for (const [what, head] of [
  ['a head', 'GET /evil HTTP/1.1\r\nHost: a\r\nX: y'],
  ['a body', field('Content-Length: 50') + 'hello'],
  ['a chunk', field(CHUNKED) + 'ff\r\nhello'],
] as const) {
  test(`${what} of which the client sends only a part before it leaves is not forwarded`, async () => {
    const { socket, received } = await open()
    socket.end(head, 'latin1')
    await received.untilEnd()
    await settle(50)
    assert.equal(received.text, '')
    assert.deepEqual(
      sent.filter(({ text }) => text.includes('evil')),
      [],
    )
  })
}

const RESPONSES: readonly (readonly [what: string, text: string])[] = [
  ['CL.TE', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
  ['two equal lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc'],
  ['a length with +', 'HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc'],
  ['xchunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
  ['chunked twice', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n'],
  ['obs-fold', 'HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n'],
  ['a bare CR', 'HTTP/1.1 200 OK\r\nX: y\rContent-Length: 9\r\nContent-Length: 0\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n'],
  ['NUL in a value', 'HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n'],
  ['HTTP/2 in its status line', 'HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'],
  ['no HTTP at all', 'hello there, this is no HTTP\r\n\r\n'],
  ['a switch of protocols that nobody asked for', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nabc'],
]

for (const [what, text] of RESPONSES) {
  test(`an upstream's response with ${what} becomes 502, and its connection serves no other`, async () => {
    const { socket, received } = await open()
    const connections = sent.length
    answer = text
    socket.write('GET /one HTTP/1.1\r\nHost: a\r\n\r\n')
    await received.untilText('\r\n\r\n')
    assert.match(received.text, /^HTTP\/1\.1 502 /)
    answer = GOOD
    const used = sent.findLast(({ text: bytes }) => bytes.includes('/one '))!
    const before = used.text
    socket.write('GET /two HTTP/1.1\r\nHost: a\r\n\r\n')
    await received.untilText('ok', 1)
    assert.equal(received.text.split('HTTP/1.1 ').length, 3, 'the client’s connection goes on')
    assert.equal(used.text, before)
    assert.ok(sent.length > connections || sent.at(-1) !== used)
    socket.destroy()
  })
}

for (const [what, text] of [
  [
    'bytes behind a length',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison',
  ],
  ['a body behind a 204', 'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'],
  [
    'a second response behind the last chunk',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison',
  ],
] as const) {
  test(`an upstream's response with ${what} poisons no other`, async () => {
    answer = text
    const first = await open()
    first.socket.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n')
    await first.received.untilText('\r\n\r\n')
    const used = sent.findLast(({ text: bytes }) => bytes.includes('/first '))!
    answer = GOOD
    const before = used.text
    for (let i = 0; i < 3; i++) {
      const { socket, received } = await open()
      socket.write('GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      await received.untilEnd()
      assert.match(received.text, /\r\n\r\nok$/)
      socket.destroy()
    }
    assert.equal(used.text, before)
    assert.ok(!first.received.text.includes('poison'))
    first.socket.destroy()
  })
}

for (const [what, text] of [
  ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n'],
  ['a chunk that is longer than it says', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n0\r\n\r\n'],
] as const) {
  test(`an upstream's body with ${what} is cut for the client, too, which can't take it for whole`, async () => {
    answer = text
    const { socket, received } = await open()
    socket.write('GET /cut HTTP/1.1\r\nHost: a\r\n\r\n')
    await received.untilEnd()
    answer = GOOD
    assert.ok(!received.text.endsWith('0\r\n\r\n'), received.text)
    socket.destroy()
  })
}
