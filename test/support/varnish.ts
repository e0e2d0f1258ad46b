/** A Varnish on loopback, with its built-in rules, in front of one server. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Program } from './debian-part.ts'
import { freePort } from './free-port.ts'
import { isListening, startChild, type Child } from './process.ts'

export class Varnish {
  readonly port: number
  readonly #child: Child
  readonly #folder: string

  private constructor(child: Child, port: number, folder: string) {
    this.#child = child
    this.port = port
    this.#folder = folder
  }

  static async start(program: Program, backendPort: number): Promise<Varnish> {
    const folder = mkdtempSync(path.join(tmpdir(), 'meridian-varnish-'))
    const port = await freePort()
    const backend = ['-a', `127.0.0.1:${port}`, '-b', `127.0.0.1:${backendPort}`]
    const child = await startChild({
      command: program.command,
      args: ['-F', '-n', folder, ...backend, '-s', 'malloc,64m', '-j', 'none'],
      env: { ...process.env, ...program.env },
      name: 'varnishd',
      endsWithParent: true,
    })
    const varnish = new Varnish(child, port, folder)
    try {
      await child.waitUntil(`listening on ${port}`, () => isListening(port))
    } catch (error) {
      await varnish[Symbol.asyncDispose]()
      throw error
    }
    return varnish
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
