/** A CA certificate that a service verifies its upstream with stays: services list ids, which no foreign key holds. */
import type { Row } from '#model/document.ts'
import type { StateReader } from '#store/contract.ts'
import { NO_CONTENT } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import { writeName } from './entity-handlers.ts'
import { deletion } from './entity-plans.ts'
import { stillListed } from './fail.ts'
import { locate } from './locate.ts'
import { type EntityPorts, everyRow } from './ports.ts'
import { commit, type Planned } from './write.ts'

const SCOPE = { kind: 'ca_certificates' } as const

export function caCertificateEndpoints(ports: EntityPorts): Endpoint[] {
  return [
    {
      path: '/ca_certificates/{ca_certificates}',
      isInWorkspace: true,
      methods: {
        DELETE: {
          handler: (request) => remove(ports, request),
          about: 'Deletes a CA certificate that no service lists.',
          role: 'editor',
          answers: { 204: 'empty', 400: 'error', 404: 'error' },
        },
      },
    },
  ]
}

function remove(ports: EntityPorts, request: AdminRequest) {
  const plan = async (state: StateReader): Promise<Planned> => {
    const located = await locate(ports.model, state, SCOPE, request)
    if (!located.ok) return located
    const { row } = located
    if (row === undefined) return { ok: true, operations: [], answer: NO_CONTENT }
    const service = await listedBy(state, row.document.id)
    return service === null
      ? { ok: true, operations: [deletion(row)], answer: NO_CONTENT }
      : { ok: false, answer: stillListed(row.document.id, 'services', service.document.id) }
  }
  return commit(ports, request, plan, writeName(ports, SCOPE, request, 'remove'))
}

/** The first service that lists the certificate, in any workspace. */
async function listedBy(state: StateReader, id: string): Promise<Row | null> {
  for await (const row of everyRow(state, 'services', {})) {
    const listed = row.document['ca_certificates']
    if (Array.isArray(listed) && listed.includes(id)) return row
  }
  return null
}
