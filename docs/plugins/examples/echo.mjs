// The upstream of the examples: answers with the request that it got. `node docs/plugins/examples/echo.mjs [PORT]`
// `X-Answer-With: NAME=VALUE` in a request makes a header of its answer.
import { createServer } from 'node:http'

const port = Number(process.argv[2] ?? 9000)

const server = createServer(async (request, response) => {
  let body = ''
  for await (const bytes of request) body += bytes
  const lines = [`${request.method} ${request.url}`]
  for (let i = 0; i < request.rawHeaders.length; i += 2)
    lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`)
  response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  const [, name, value] = /^([^=]+)=(.*)$/.exec(request.headers['x-answer-with'] ?? '') ?? []
  if (name !== undefined) response.setHeader(name, value)
  response.end(`${lines.join('\n')}\n${body === '' ? '' : `\n${body}\n`}`)
})
server.listen(port, '127.0.0.1', () => console.log(`echo listens on http://127.0.0.1:${port}`))
