/** A gRPC server that adds up: listens, runs a command, and shows what that says. `sums.mjs PORT COMMAND...` */
import { spawn } from 'node:child_process'
import path from 'node:path'
import { Server, ServerCredentials, loadPackageDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const [port, command, ...args] = process.argv.slice(2)
const proto = path.join(import.meta.dirname, 'sums.proto')
// Google's file of annotations comes with protobufjs.
const google = path.dirname(new URL(import.meta.resolve('protobufjs/package.json')).pathname)
const { examples } = loadPackageDefinition(loadSync(proto, { includeDirs: [google] }))

const server = new Server()
server.addService(examples.Sums.service, {
  Add: ({ request }, answer) => answer(null, { sum: (request.numbers ?? []).reduce((sum, one) => sum + one, 0) }),
})
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  child.on('exit', (code) => process.exit(code ?? 1))
})
setTimeout(() => process.exit(1), 10_000).unref()
