import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Program } from './debian-part.ts'
import { freePorts } from './free-port.ts'
import { isListening, startChild, type Child } from './process.ts'

export interface NginxOptions {
  /** The content of the `http` block, given the ports asked for. Its servers listen on 127.0.0.1. */
  readonly http: (ports: readonly number[], prefix: string) => string
  /** How many ports; all of them are listened on once `startNginx` resolves. By default 1. */
  readonly ports?: number
  /** Lines for the top of the file, such as `worker_rlimit_nofile`. */
  readonly main?: string
  /** Put before the command, such as `['taskset', '-c', '1']`. */
  readonly wrapper?: readonly string[]
  readonly connections?: number
}

export class Nginx {
  readonly child: Child
  readonly ports: readonly number[]
  readonly prefix: string

  constructor(child: Child, ports: readonly number[], prefix: string) {
    this.child = child
    this.ports = ports
    this.prefix = prefix
  }

  get port(): number {
    return this.ports[0] ?? 0
  }

  async stop(): Promise<void> {
    await this.child.stop()
    rmSync(this.prefix, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** Starts nginx with one worker, a folder and ports of its own; resolves when it accepts connections. */
export async function startNginx(program: Program, options: NginxOptions): Promise<Nginx> {
  const prefix = mkdtempSync(path.join(tmpdir(), 'meridian-nginx-'))
  const ports = await freePorts(options.ports ?? 1)
  const configuration = path.join(prefix, 'nginx.conf')
  writeFileSync(configuration, configurationText(options, ports, prefix))
  const [command, ...args] = [
    ...(options.wrapper ?? []),
    program.command,
    '-p',
    prefix,
    '-c',
    configuration,
    '-e',
    path.join(prefix, 'error.log'),
  ]
  const child = await startChild({
    command: command ?? program.command,
    args,
    env: { ...process.env, ...program.env },
    name: 'nginx',
  })
  const nginx = new Nginx(child, ports, prefix)
  try {
    for (const port of ports) await child.waitUntil(`listening on ${port}`, () => isListening(port))
  } catch (error) {
    await nginx.stop()
    throw error
  }
  return nginx
}

function configurationText(options: NginxOptions, ports: readonly number[], prefix: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off;
worker_processes 1;
pid ${prefix}/nginx.pid;
${process.getuid?.() === 0 ? 'user root;' : ''}
${options.main ?? ''}
events { worker_connections ${options.connections ?? 1024}; }
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${prefix}/${name};`).join('\n')}
${options.http(ports, prefix)}
}
`
}
