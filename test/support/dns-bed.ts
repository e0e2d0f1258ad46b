/** A resolver with a clock of its own, its files in a folder of its own, and the one name server that it asks. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import type { Resolution } from '#core/resolution.ts'
import type { DnsSettings } from '#upstream/dns/dns-settings.ts'
import { createResolver, type DnsResolver } from '#upstream/dns/resolver.ts'
import { a, startDnsServer, type DnsHandler, type DnsServer } from './dns-server.ts'

export interface Bed {
  readonly resolver: DnsResolver
  readonly server: DnsServer
  readonly clock: { now: number }
  readonly log: string[]
  /** `type name` of each question so far. */
  asked(): string[]
  resolve(name: string): Promise<Resolution>
}

export interface BedOptions {
  readonly settings?: Partial<DnsSettings>
  readonly resolvConf?: string
  readonly hosts?: string
}

export const NAME_ERROR = 3
export const SERVER_FAILURE = 2

/** Both end with the test. */
export async function startBed(context: TestContext, handler: DnsHandler, options: BedOptions = {}): Promise<Bed> {
  const folder = mkdtempSync(path.join(tmpdir(), 'dns-'))
  const resolvConfPath = path.join(folder, 'resolv.conf')
  const hostsPath = path.join(folder, 'hosts')
  writeFileSync(resolvConfPath, options.resolvConf ?? 'options timeout:5 attempts:1')
  writeFileSync(hostsPath, options.hosts ?? '')
  const server = await startDnsServer(handler)
  const clock = { now: 1_000_000 }
  const log: string[] = []
  const resolver = createResolver({
    settings: {
      dns_resolver: [server.address],
      dns_hostsfile: hostsPath,
      dns_order: ['LAST', 'SRV', 'A', 'AAAA', 'CNAME'],
      dns_timeout: null,
      dns_valid_ttl: null,
      dns_stale_ttl: 3600,
      dns_not_found_ttl: 30,
      dns_error_ttl: 1,
      dns_cache_size: 100,
      ...options.settings,
    },
    resolvConfPath,
    nowMs: () => clock.now,
    log: { warn: (_, message) => log.push(`warn: ${message}`), info: (_, message) => log.push(`info: ${message}`) },
  })
  context.after(async () => {
    resolver.close()
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })
  return {
    resolver,
    server,
    clock,
    log,
    asked: () => server.questions.map(({ type, name }) => `${type} ${name}`),
    resolve: async (name) => await resolver.resolve(name),
  }
}

/** Answers A questions with one address, everything else with nothing. */
export function onlyA(ip: string, ttl = 60): DnsHandler {
  return ({ name, type }) => ({ answers: type === 'A' ? [a(name, ip, ttl)] : [] })
}

export function ips(resolution: Resolution): string[] {
  assert.ok(resolution.ok, JSON.stringify(resolution))
  return resolution.addresses.map((address) => address.ip)
}

export function failureOf(resolution: Resolution): string {
  assert.ok(!resolution.ok, JSON.stringify(resolution))
  return `${resolution.code}: ${resolution.message}`
}

/** Lets a refresh in the background end. */
export async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 2))
}
