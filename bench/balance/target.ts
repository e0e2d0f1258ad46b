/** One target as a process of its own, so that it can be stopped and killed: answers everything with a few words. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const server = createServer({ keepAliveTimeout: 60_000 }, (_request, response) => void response.end('well'))
server.listen(0, '127.0.0.1', () => process.stdout.write(`PORT ${(server.address() as AddressInfo).port}\n`))
