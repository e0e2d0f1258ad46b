/** Takes connections and drops them at once, in a process of its own. */
import { createServer, type AddressInfo } from 'node:net'

const server = createServer((socket) => {
  socket.on('error', () => socket.destroy())
  socket.destroy()
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`PORT ${(server.address() as AddressInfo).port}\n`))
