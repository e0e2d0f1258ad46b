/** The Admin API as a whole: its endpoints over what it is given, on its listeners. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GatewayError } from '#core/errors.ts'
import { createEndpoints } from './endpoints.ts'
import { answerMessage } from './answer.ts'
import { invalidUnique } from './fail.ts'
import type { GuardSettings } from './guard.ts'
import {
  type AdminLimits,
  type AdminListener,
  type AdminTls,
  closeListener,
  DEFAULT_LIMITS,
  listen,
  refusalOf,
  renewTls,
} from './listener.ts'
import type { AdminPorts } from './ports.ts'
import { type AnsweredRequest, createResponder } from './respond.ts'
import type { AccessList } from './tokens.ts'
import { findWorkspace } from './workspaces.ts'

export interface AdminServerOptions extends AdminPorts {
  readonly listeners: readonly AdminListener[]
  readonly guard: GuardSettings
  readonly access: AccessList
  readonly limits?: Partial<AdminLimits>
  readonly requestId: () => string
  readonly onAnswered?: (record: AnsweredRequest) => void
}

export interface AdminServer {
  /** Where it listens, in the order of the listeners; a Unix socket is its path. */
  readonly addresses: readonly (AddressInfo | string)[]
  /** Takes other certificates into use for the handshakes to come. */
  renewTls(tls: AdminTls): void
  /** Stops listening, lets requests finish, and ends after the time what is left. */
  close(graceMs?: number): Promise<void>
}

/** How long `close` waits for requests in flight. */
const CLOSE_GRACE_MS = 5000

/** Opens every listener or none. Fails with the system's error of the one that can't be opened, or with what its settings lack. */
export async function openAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const refusal = options.listeners
    .map((listener) => refusalOf(listener, options.access))
    .find((text): text is string => text !== null)
  if (refusal !== undefined) throw new GatewayError('SETTINGS_INVALID', refusal)
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const respond = createResponder({
    endpoints: createEndpoints(options),
    invalidSegment: (parameter, position) => invalidSegment(options, parameter, position),
    guard: options.guard,
    access: options.access,
    limits,
    serverName: `kong/${options.node.kongVersion} meridian/${options.node.version}`,
    workspaceId: (name) => findWorkspace(options.store, name),
    defaultWorkspace: options.node.defaultWorkspace,
    requestId: options.requestId,
    nowMs: options.nowMs,
    log: options.log,
    onAnswered: options.onAnswered ?? (() => {}),
  })
  const servers: Server[] = []
  try {
    for (const listener of options.listeners) {
      servers.push(await listen(listener, limits, (request, response) => respond(request, response, listener)))
    }
  } catch (error) {
    await Promise.all(servers.map((server) => closeListener(server, 0)))
    throw error
  }
  return {
    addresses: servers.map((server) => server.address()!),
    renewTls: (tls) => servers.forEach((server) => renewTls(server, tls)),
    close: async (graceMs = CLOSE_GRACE_MS) => {
      await Promise.all(servers.map((server) => closeListener(server, graceMs)))
    },
  }
}

// Parameters of generated endpoints are named for their kind, so what they can't be is told in the terms of its endpoint key.
function invalidSegment({ model }: AdminPorts, parameter: string, position: number) {
  const message = `invalid utf-8 character sequence detected at position ${position}`
  const field = model.entities.get(parameter)?.endpoint_key
  return field === undefined ? answerMessage(400, message) : invalidUnique(field, message)
}
