/** Listens as a receiver of logs, runs a command, and shows the first thing that arrives: `receiver.mjs http|tcp|udp PORT COMMAND...` */
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import net from 'node:net'

const [kind, port, command, ...args] = process.argv.slice(2)

const listen = {
  http: (ready) => {
    const server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (text) => (body += text))
      request.on('end', () => response.end(() => show(`${request.method} ${request.url}\n${body}`)))
    })
    server.listen(port, '127.0.0.1', ready)
  },
  tcp: (ready) => {
    const server = net.createServer((socket) => {
      let text = ''
      socket.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
        if (text.includes('\n')) show(text)
      })
    })
    server.listen(port, '127.0.0.1', ready)
  },
  udp: (ready) => {
    const socket = createSocket('udp4', (message) => show(message.toString()))
    socket.bind(Number(port), '127.0.0.1', ready)
  },
}

function show(text) {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`, () => process.exit())
}

listen[kind](() => spawn(command, args, { stdio: 'ignore' }))
setTimeout(() => {
  console.log('nothing arrived in 10 seconds')
  process.exit(1)
}, 10_000)
