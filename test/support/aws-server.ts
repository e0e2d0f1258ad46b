/** What of AWS the gateway asks, with every signature verified by AWS's own code: see compat/lambda/server.py. */
import path from 'node:path'
import type { Program } from './debian-part.ts'
import { freePort } from './free-port.ts'
import { startChild, type Child } from './process.ts'

const SERVER = path.resolve(import.meta.dirname, '..', 'compat', 'lambda', 'server.py')

export class AwsServer {
  readonly port: number
  readonly child: Child

  constructor(child: Child, port: number) {
    this.child = child
    this.port = port
  }

  /** Lines of what it was asked so far. */
  get asked(): readonly string[] {
    return this.child.output.split('\n').filter((line) => line.startsWith('asked '))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.stop()
  }
}

/** @param tls files of a certificate and its key; null for plain HTTP */
export async function startAwsServer(
  program: Program,
  tls: { readonly cert: string; readonly key: string } | null = null,
): Promise<AwsServer> {
  const port = await freePort()
  const child = await startChild({
    command: program.command,
    args: [SERVER, String(port), ...(tls === null ? [] : [tls.cert, tls.key])],
    env: { ...process.env, ...program.env },
    name: 'aws',
  })
  await child.waitForOutput(/^listens$/m)
  return new AwsServer(child, port)
}
