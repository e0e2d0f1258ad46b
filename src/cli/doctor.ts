/** `meridian doctor`: what of this machine would keep the gateway from working well, with what to do. */
import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import type { Settings } from '#model/settings.ts'
import { jsonOption, printJson, printTable, settingsOptions, type CliContext, type Command } from './command.ts'
import { exitCodes } from './exit-code.ts'
import { loadSettings } from './load-settings.ts'
import { runningPid } from './pid-file.ts'
import { describeHolders, findPortHolders } from './port-holder.ts'

export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'warning' | 'problem'
  readonly about: string
}

const NEEDED_NODE_MAJOR = 26
/** Files besides connections: store, logs, libraries. */
const OTHER_FILES = 500
const LEAST_FREE_BYTES = 1 << 30

export const doctor: Command = {
  name: 'doctor',
  about: 'Checks this machine: Node, limits, kernel settings, ports, the prefix folder and the keyring.',
  positionals: [],
  options: { ...settingsOptions, ...jsonOption },
  async run(context, options) {
    const { settings, warnings } = loadSettings(context, options)
    const findings = [
      ...warnings.map((about): Finding => ({ check: 'settings', state: 'warning', about })),
      checkNode(process.versions.node),
      checkFileLimit(settings, readText('/proc/self/limits')),
      checkMigration(settings, readText('/proc/sys/net/ipv4/tcp_migrate_req')),
      checkBacklog(settings, readText('/proc/sys/net/core/somaxconn')),
      ...(await checkPorts(settings)),
      checkPrefix(settings.prefix),
      checkKeyring(context, settings),
    ]
    if (options['json'] === true) printJson(context, findings)
    else
      printTable(
        context,
        findings.map(({ check, state, about }) => [state.toUpperCase(), check, about]),
      )
    return findings.some(({ state }) => state === 'problem') ? exitCodes.failed : exitCodes.done
  },
}

export function checkNode(version: string): Finding {
  const isFit = Number(version.split('.')[0]) >= NEEDED_NODE_MAJOR
  const about = isFit
    ? `Node ${version}`
    : `expected Node ${NEEDED_NODE_MAJOR} or later, got ${version}: start by npm, which brings its own`
  return { check: 'node', state: isFit ? 'ok' : 'problem', about }
}

/** `limits` is the text of /proc/PID/limits; null where there is none. Two files for a proxied connection. */
export function checkFileLimit(settings: Settings, limits: string | null): Finding {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? '')?.[1]
  if (soft === undefined)
    return { check: 'files', state: 'ok', about: 'the system does not say how many files may be open' }
  const needed = settings.workers * settings.worker_connections * 2 + OTHER_FILES
  const limit = soft === 'unlimited' ? Infinity : Number(soft)
  if (limit >= needed) return { check: 'files', state: 'ok', about: `${soft} may be open, ${needed} could be` }
  return {
    check: 'files',
    state: 'warning',
    about: `${soft} may be open, but worker_connections could take ${needed}: raise it (ulimit -n, LimitNOFILE=) or lower worker_connections`,
  }
}

export function checkMigration(settings: Settings, value: string | null): Finding {
  const check = 'tcp_migrate_req'
  if (value === null) return { check, state: 'ok', about: 'not a Linux kernel, or one that has no such setting' }
  if (value.trim() === '1' || settings.workers === 1)
    return { check, state: 'ok', about: `net.ipv4.tcp_migrate_req = ${value.trim()}` }
  return {
    check,
    state: 'warning',
    about:
      'connections that wait for a worker are reset when it ends: set net.ipv4.tcp_migrate_req = 1, so that another one takes them',
  }
}

export function checkBacklog(settings: Settings, value: string | null): Finding {
  const wanted = Math.max(0, ...settings.proxy_listen.map(({ backlog }) => backlog))
  if (value === null)
    return { check: 'somaxconn', state: 'ok', about: 'the system does not say how many connections may wait' }
  const isEnough = Number(value) >= wanted
  const about = `net.core.somaxconn = ${value.trim()}${isEnough ? '' : `, which cuts backlog=${wanted} of proxy_listen: raise it`}`
  return { check: 'somaxconn', state: isEnough ? 'ok' : 'warning', about }
}

async function checkPorts(settings: Settings): Promise<Finding[]> {
  const own = runningPid(settings.prefix)
  const findings: Finding[] = []
  for (const key of ['proxy_listen', 'admin_listen', 'status_listen'] as const) {
    for (const { address, host, port, socketPath, ipv6Only } of settings[key]) {
      if (socketPath !== null || port === 0) continue
      const failure = await tryListen(host, port, ipv6Only)
      const holders = failure === 'EADDRINUSE' ? findPortHolders(port) : []
      if (failure === null) findings.push({ check: 'ports', state: 'ok', about: `${address} is free` })
      else if (own !== null && holders.some(({ pid }) => pid === own))
        findings.push({ check: 'ports', state: 'ok', about: `${address} is held by the running gateway` })
      else if (failure === 'EADDRINUSE')
        findings.push({
          check: 'ports',
          state: 'problem',
          about: `${key}: ${address} is taken by ${describeHolders(holders)}`,
        })
      else
        findings.push({
          check: 'ports',
          state: 'problem',
          about: `${key}: ${address} can not be listened on (${failure})`,
        })
    }
  }
  return findings
}

/** Null when it works, else the system's code. */
function tryListen(host: string, port: number, ipv6Only: boolean): Promise<string | null> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    probe.listen({ host, port, ipv6Only, exclusive: true }, () => probe.close(() => resolve(null)))
  })
}

export function checkPrefix(prefix: string): Finding {
  const check = 'prefix'
  // It is made at the first start, below the nearest folder that exists.
  let folder = prefix
  while (!existsSync(folder) && path.dirname(folder) !== folder) folder = path.dirname(folder)
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    if (!statSync(folder).isDirectory()) return { check, state: 'problem', about: `${folder} is no folder` }
  } catch (error) {
    return { check, state: 'problem', about: `${folder} can not be written (${(error as NodeJS.ErrnoException).code})` }
  }
  const { bavail, bsize } = statfsSync(folder)
  const freeMiB = Math.floor((bavail * bsize) / 1024 ** 2)
  if (bavail * bsize < LEAST_FREE_BYTES)
    return { check, state: 'warning', about: `${prefix}: only ${freeMiB} MiB are free there` }
  return { check, state: 'ok', about: `${prefix}, ${freeMiB} MiB free` }
}

export function checkKeyring({ environment }: Pick<CliContext, 'environment'>, settings: Settings): Finding {
  const check = 'keyring'
  const { keyring_env: variable, prefix, database } = settings
  if (variable !== null) {
    const isSet = (environment[variable] ?? '') !== ''
    return { check, state: isSet ? 'ok' : 'problem', about: `keyring_env: ${variable} is ${isSet ? 'set' : 'not set'}` }
  }
  const file = settings.keyring_file ?? path.join(prefix, 'keyring')
  if (!existsSync(file)) {
    const isNeeded =
      settings.keyring_file !== null || (database === 'sqlite' && existsSync(path.join(prefix, 'meridian.db')))
    if (!isNeeded) return { check, state: 'ok', about: 'one is made at the first start' }
    return {
      check,
      state: 'problem',
      about: `${file} is missing: without it the secrets in the store can not be opened`,
    }
  }
  const mode = statSync(file).mode & 0o777
  if ((mode & 0o077) !== 0)
    return { check, state: 'problem', about: `${file} can be read by others (mode ${mode.toString(8)}): chmod 600 it` }
  return { check, state: 'ok', about: file }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // Other systems have no such file; each check says what that means.
    return null
  }
}
