/**
 * Suites that others wrote, each against a whole gateway. A suite whose program can't be had is skipped with the reason and keeps
 * its last result in docs/conformance.md.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { WebSocketServer } from 'ws'
import { Authority } from '../support/authority.ts'
import { makeCertificate } from '../support/certificates.ts'
import { isFullEffort } from '../support/effort.ts'
import { freeGatewayPorts, startGateway, type GatewayOptions } from '../support/gateway.ts'
import { startGrpcServer } from '../support/grpc-server.ts'
import { startNginx } from '../support/nginx.ts'
import { requirePart } from '../support/parts.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { runAutobahn, summaryOf, worseThanDirect } from './autobahn.ts'
import { ghz, grpcurl } from './grpc-tools.ts'
import { runH2spec, type H2specRun } from './h2spec.ts'
import { record, today, type SuiteResult } from './report.ts'
import { aboveLow, runTestssl } from './testssl.ts'

const skip = isFullEffort() ? false : 'takes minutes: npm run test:parts'

/** A gateway that takes HTTP/2 on both its ports, in front of one service. */
async function startFor(url: string, options: GatewayOptions = {}, protocols = ['http', 'https']) {
  const ports = await freeGatewayPorts()
  return await startGateway({
    ports,
    ...options,
    settings: {
      proxy_listen: `127.0.0.1:${ports.proxy} http2, 127.0.0.1:${ports.tls} ssl http2`,
      // What is measured is what is answered, also on a machine that does other things.
      overload_delay: '0',
      ...options.settings,
    },
    declarative: {
      _format_version: '3.0',
      services: [{ name: 's', url, routes: [{ name: 'r', protocols, paths: ['/'], strip_path: false }] }],
    },
  })
}

/** What failed, with what nginx on this machine does in the same test. */
async function besideNginx(
  t: TestContext,
  program: Parameters<typeof runH2spec>[0],
  { failed }: H2specRun,
  isTls: boolean,
): Promise<string[]> {
  const nginx = failed.length === 0 ? null : await requirePart(t, 'nginx')
  if (nginx === null) return [...failed]
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-conformance-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const pair = await makeCertificate(['localhost'])
  for (const part of ['cert', 'key'] as const) writeFileSync(path.join(folder, part), pair[part])
  await using server = await startNginx(nginx, {
    ports: 2,
    http: ([plain, tls]) => `
      ssl_certificate ${folder}/cert;
      ssl_certificate_key ${folder}/key;
      server {
        listen 127.0.0.1:${plain} http2;
        listen 127.0.0.1:${tls} ssl http2;
        location / { return 200 "hello"; }
      }`,
  })
  const sections = [...new Set(failed.map((name) => name.split(':')[0]!))]
  const theirs = await runH2spec(program, server.ports[isTls ? 1 : 0]!, isTls, sections)
  return failed.map((name) => `${name} (nginx ${theirs.failed.includes(name) ? 'fails' : 'passes'} it)`)
}

function h2specResult(against: string, run: H2specRun, findings: readonly string[]): SuiteResult {
  const result = `${run.total - run.failed.length} of ${run.total} pass`
  return { suite: 'h2spec', version: '2.2.1', against, result, compared: '', findings, date: today() }
}

/** What we answer otherwise than the suite wants, and why: docs/conformance.md. */
const H2SPEC_DIFFERS = new Set(['http2/3.5: Sends invalid connection preface'])

test('h2spec finds nothing but what is named', { skip }, async (t) => {
  const program = await requirePart(t, 'h2spec')
  if (program === null) return
  await using upstream = await startUpstream()
  await using gateway = await startFor(`http://127.0.0.1:${upstream.port}`)
  const tls = await runH2spec(program, gateway.tlsPort, true)
  const plain = await runH2spec(program, gateway.proxyPort, false)
  record(
    h2specResult('TLS', tls, await besideNginx(t, program, tls, true)),
    h2specResult('without TLS', plain, await besideNginx(t, program, plain, false)),
  )
  assert.deepEqual(tls.failed, [])
  assert.deepEqual(
    plain.failed.filter((name) => !H2SPEC_DIFFERS.has(name)),
    [],
  )
})

test('a WebSocket server is as good through the gateway as without it, by Autobahn', { skip }, async (t) => {
  const program = await requirePart(t, 'autobahn')
  if (program === null) return
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true, maxPayload: 64 << 20 })
  t.after(() => server.close())
  await once(server, 'listening')
  server.on('connection', (socket) => {
    socket.on('error', () => socket.terminate())
    socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }))
  })
  const { port } = server.address() as { port: number }
  await using gateway = await startFor(`http://127.0.0.1:${port}`)
  const run = await runAutobahn(program, {
    direct: `ws://127.0.0.1:${port}`,
    gateway: `ws://127.0.0.1:${gateway.proxyPort}`,
  })
  const worse = worseThanDirect(run)
  record({
    suite: 'Autobahn',
    version: '25.10.1',
    against: 'WebSocket, `ws` behind the gateway',
    result: summaryOf(run.gateway),
    compared: `without the gateway: ${summaryOf(run.direct)}`,
    findings: worse,
    date: today(),
  })
  assert.ok(Object.keys(run.direct).length > 200, `only ${Object.keys(run.direct).length} cases ran`)
  assert.deepEqual(worse, [])
})

/** What a client in Go makes of each kind of call: the name of what went wrong. */
test('grpcurl calls by reflection, with errors and streams, as it does without the gateway', { skip }, async (t) => {
  const program = await requirePart(t, 'grpcurl')
  if (program === null) return
  const server = await startGrpcServer()
  t.after(() => server.close())
  await using gateway = await startFor(`grpc://127.0.0.1:${server.port}`, {}, ['grpc', 'grpcs'])
  const questions: readonly (readonly [what: string, message?: object])[] = [
    ['list'],
    ['/Unary', { text: 'hi', count: 1 }],
    ['/Download', { text: 'x', count: 50 }],
    ['/Fail', { text: 'no such thing', count: 5 }],
    ['/Nothing', {}],
  ]
  const differing: string[] = []
  for (const [port, isTls] of [
    [gateway.proxyPort, false],
    [gateway.tlsPort, true],
  ] as const) {
    for (const [what, message] of questions) {
      const direct = await grpcurl(program, server.port, false, what, message)
      const through = await grpcurl(program, port, isTls, what, message)
      if (direct.code !== through.code || direct.output !== through.output)
        differing.push(`${what}${isTls ? ' over TLS' : ''}: ${through.output.trim()}, directly ${direct.output.trim()}`)
    }
  }
  const called = await grpcurl(program, gateway.proxyPort, false, '/Unary', { text: 'hi', count: 1 })
  record({
    suite: 'grpcurl',
    version: '1.9.4',
    against: 'gRPC, plain and TLS',
    result: `${2 * questions.length - differing.length} of ${2 * questions.length} calls as without the gateway`,
    compared: '',
    findings: differing,
    date: today(),
  })
  assert.deepEqual(JSON.parse(called.output), { text: 'echo hi', count: 2 })
  assert.deepEqual(differing, [])
})

test('ghz: every call of a load gets its answer', { skip }, async (t) => {
  const program = await requirePart(t, 'ghz')
  if (program === null) return
  const server = await startGrpcServer()
  t.after(() => server.close())
  await using gateway = await startFor(`grpc://127.0.0.1:${server.port}`, {}, ['grpc', 'grpcs'])
  const loads = [
    ['Unary', { text: 'hi', count: 1 }, 4000],
    ['Download', { text: 'hi', count: 20 }, 500],
    ['Upload', Array.from({ length: 20 }, (_, count) => ({ text: 'hi', count })), 500],
    ['Chat', Array.from({ length: 20 }, (_, count) => ({ text: 'hi', count })), 500],
  ] as const
  const problems: string[] = []
  let calls = 0
  for (const [port, isTls] of [
    [gateway.proxyPort, false],
    [gateway.tlsPort, true],
  ] as const) {
    for (const [method, message, count] of loads) {
      const { statusCodeDistribution: codes } = await ghz(program, port, isTls, method, message, count)
      calls += count
      if (codes['OK'] !== count) problems.push(`${method}${isTls ? ' over TLS' : ''}: ${JSON.stringify(codes)}`)
    }
  }
  record({
    suite: 'ghz',
    version: '0.93.0',
    against: 'gRPC, plain and TLS, 20 calls at a time',
    result: problems.length === 0 ? `${calls} of ${calls} calls OK` : `${problems.length} loads with errors`,
    compared: '',
    findings: problems,
    date: today(),
  })
  assert.deepEqual(problems, [])
})

test('testssl finds nothing above low on a listener as it is by default', { skip }, async (t) => {
  const program = await requirePart(t, 'testssl')
  const openssl = await requirePart(t, 'openssl')
  if (program === null || openssl === null) return
  const authority = await Authority.create(openssl, 'Test authority')
  t.after(() => authority.remove())
  const responder = await authority.startResponder()
  t.after(() => responder.close())
  // The kind of certificate that an operator has; the gateway's own, self-made one is trusted by nobody.
  const pair = await authority.issue('localhost', { names: ['DNS:localhost'], ocspUrl: responder.url, days: 90 })
  // What a page says to browsers is for the service to say: the gateway passes it on.
  await using upstream = await startUpstream((_request, response) => {
    response.setHeader('Strict-Transport-Security', 'max-age=63072000; includeSubDomains')
    response.setHeader('Content-Security-Policy', "default-src 'none'")
    response.setHeader('X-Content-Type-Options', 'nosniff')
    response.end('hello')
  })
  await using gateway = await startFor(`http://127.0.0.1:${upstream.port}`, {
    settings: { ssl_cert: pair.cert, ssl_cert_key: pair.key },
  })
  const findings = await runTestssl(program, gateway.tlsPort, authority.file('ca.pem'))
  const bad = aboveLow(findings)
  const texts = (some: typeof bad) => some.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`)
  record({
    suite: 'testssl.sh',
    version: '3.0.8',
    against: 'a listener with `ssl http2`, everything else by default',
    result: `${findings.length} looks, ${bad.length} above low`,
    compared: '',
    findings: texts(findings.filter((one) => one.severity === 'LOW' || bad.includes(one))),
    date: today(),
  })
  assert.deepEqual(texts(bad), [])
})
