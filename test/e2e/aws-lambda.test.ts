/** Functions of AWS Lambda, invoked at a server that verifies signatures with AWS's own code. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startAwsServer } from '../support/aws-server.ts'
import { makeCertificate } from '../support/certificates.ts'
import { startGateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'

const FIXED = { aws_key: 'AKIDFIXED', aws_secret: 'fixed/secret+key' }

test('functions are invoked with requests that AWS takes for signed, whatever keys there are', async (t) => {
  const botocore = await requirePart(t, 'botocore')
  if (botocore === null) return
  await using aws = await startAwsServer(botocore)
  const plain = { host: '127.0.0.1', port: aws.port, disable_https: true, aws_region: 'eu-central-1' }
  const sts = { aws_sts_endpoint_url: `http://127.0.0.1:${aws.port}/sts`, aws_assume_role_arn: 'arn:aws:iam::1:role/r' }
  const functions: Record<string, object> = {
    echo: { function_name: 'echo', ...FIXED },
    arn: { function_name: 'arn:aws:lambda:eu-central-1:1:function:f (x)', qualifier: 'live/1 +', ...FIXED },
    async: { function_name: 'echo', invocation_type: 'Event', ...FIXED },
    dry: { function_name: 'echo', invocation_type: 'DryRun', log_type: 'None', ...FIXED },
    proxied: { function_name: 'say', is_proxy_integration: true, forward_request_body: true, ...FIXED },
    unhandled: { function_name: 'unhandled', unhandled_status: 418, ...FIXED },
    missing: { function_name: 'missing', ...FIXED },
    wrong: { function_name: 'echo', ...FIXED, aws_secret: 'guessed' },
    gateway: { function_name: 'echo', awsgateway_compatible: true, ...FIXED },
    role: { function_name: 'echo', ...FIXED, ...sts },
    machine: { function_name: 'echo' },
    machine2: { function_name: 'echo', aws_imds_protocol_version: 'v2', ...sts },
  }
  // Where the machine's keys are looked for is said by the environment, as AWS's libraries have it.
  const before = process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT']
  process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = `http://127.0.0.1:${aws.port}`
  t.after(() => {
    if (before === undefined) delete process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT']
    else process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = before
  })
  await using gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      routes: Object.entries(functions).map(([name, config]) => ({
        name,
        paths: [`~/${name}/(?<id>\\w+)$`],
        plugins: [{ name: 'aws-lambda', config: { ...plain, ...config } }],
      })),
    },
  })
  const invoke = (name: string, body?: object, query = '') =>
    ask(`${gateway.proxyUrl}/${name}/7${query}`, {
      ...(body !== undefined && { method: 'POST', body }),
      headers: { 'X-Team': 'grün' },
    })

  await t.test('a name with all kinds of characters, and a version', async () => {
    const answer = await invoke('arn', { a: 1 }, '?b=2&b=3')
    assert.deepEqual([answer.status, answer.json], [200, { a: 1, b: ['2', '3'] }])
    assert.equal(answer.headers['x-function'], 'arn:aws:lambda:eu-central-1:1:function:f (x)')
    assert.equal(answer.headers['x-amz-executed-version'], 'live/1 +')
    assert.match(String(answer.headers['via']), /meridian/)
  })

  await t.test('without waiting for its end', async () => {
    assert.deepEqual([(await invoke('async', {})).status, (await invoke('dry', {})).status], [202, 204])
  })

  await t.test('one that answers as behind an API gateway', async () => {
    const says = (result: unknown) => invoke('proxied', result as object)
    const made = await says({
      statusCode: 201,
      headers: { 'X-One': 'ü', 'Content-Type': 'text/plain', 'content-length': '9999' },
      multiValueHeaders: { 'Set-Cookie': ['a=1', 'b=2'] },
      body: Buffer.from([0x68, 0xc3, 0xbc]).toString('base64'),
      isBase64Encoded: true,
    })
    assert.deepEqual([made.status, made.text, made.headers['content-type']], [201, 'hü', 'text/plain'])
    assert.deepEqual(made.headers['set-cookie'], ['a=1', 'b=2'])
    assert.equal(made.headers['content-length'], '3')
    assert.equal(Buffer.from(String(made.headers['x-one']), 'latin1').toString(), 'ü')
    const wrong = await says({ body: 'no status' })
    assert.deepEqual(
      [wrong.status, wrong.json],
      [
        502,
        {
          message: 'Bad Gateway',
          error: 'could not JSON decode Lambda function response: statusCode validation failed',
        },
      ],
    )
  })

  await t.test('one that fails, is not there, or is asked for with keys that are not good', async () => {
    const failed = await invoke('unhandled')
    assert.deepEqual([failed.status, failed.json], [418, { errorMessage: 'broken', stack: {} }])
    for (const name of ['missing', 'wrong']) {
      const answer = await invoke(name)
      assert.deepEqual([answer.status, answer.json], [500, { message: 'An unexpected error occurred' }], name)
    }
    await gateway.child.waitForOutput(/answered 403 SignatureDoesNotMatch/)
    const { text } = await ask(`${gateway.statusUrl}/metrics`)
    assert.match(text, /meridian_plugin_calls_total\{plugin="aws-lambda",call="invoke",outcome="refused"\} 2\n/)
  })

  await t.test('the event of an API gateway', async () => {
    const { json } = await invoke('gateway', { total: 5 }, '?q=1')
    assert.deepEqual([json.httpMethod, json.path, json.pathParameters], ['POST', '/gateway/7', { id: '7' }])
    assert.deepEqual([json.queryStringParameters, json.headers['x-team']], [{ q: '1' }, 'grün'])
    assert.equal(Buffer.from(json.body, 'base64').toString(), '{"total":5}')
    assert.equal(json.isBase64Encoded, true)
  })

  await t.test('keys of a role, of the machine, and of a role with those of the machine, got once', async () => {
    for (const name of ['role', 'machine', 'machine2'])
      for (let round = 0; round < 3; round++) assert.equal((await invoke(name, { round })).status, 200, name)
    const asked = (pattern: RegExp) => aws.asked.filter((line) => pattern.test(line)).length
    assert.deepEqual([asked(/ \/sts /), asked(/role%20of/), asked(/api\/token/)], [2, 2, 1])
    assert.equal(asked(/invocations AWS4-HMAC-SHA256 Credential=ASIAROLE/), 6)
    assert.equal(asked(/invocations AWS4-HMAC-SHA256 Credential=ASIAMACH/), 3)
    assert.doesNotMatch(gateway.child.output, /role secret|machine secret|fixed\/secret|role token/)
  })
})

test('over TLS, which is verified, and through a proxy', async (t) => {
  const botocore = await requirePart(t, 'botocore')
  if (botocore === null) return
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-aws-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const files = { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem') }
  const made = await makeCertificate(['127.0.0.1'])
  writeFileSync(files.cert, made.cert)
  writeFileSync(files.key, made.key)
  await using aws = await startAwsServer(botocore, files)
  const connected: (string | undefined)[] = []
  const proxy = createServer().on('connect', (request: IncomingMessage, client: Socket) => {
    connected.push(request.url)
    const server = connect(aws.port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      client.pipe(server).pipe(client)
    })
    server.on('error', () => client.destroy())
    client.on('error', () => server.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const config = { host: '127.0.0.1', port: aws.port, aws_region: 'us-east-1', function_name: 'echo', ...FIXED }
  const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const declarative = {
    _format_version: '3.0',
    routes: [
      { name: 'direct', paths: ['/direct'], plugins: [{ name: 'aws-lambda', config }] },
      {
        name: 'proxied',
        paths: ['/proxied'],
        plugins: [{ name: 'aws-lambda', config: { ...config, proxy_url: proxyUrl } }],
      },
    ],
  }
  {
    await using gateway = await startGateway({ declarative, settings: { lua_ssl_trusted_certificate: files.cert } })
    for (const name of ['direct', 'proxied'])
      assert.deepEqual((await ask(`${gateway.proxyUrl}/${name}?a=1`)).json, { a: '1' }, name)
    assert.deepEqual(connected, [`127.0.0.1:${aws.port}`])
  }
  await using stranger = await startGateway({ declarative })
  assert.equal((await ask(`${stranger.proxyUrl}/direct`)).status, 500)
  await stranger.child.waitForOutput(/DEPTH_ZERO_SELF_SIGNED_CERT|self.signed/)
})
