/** The answer that shows one entity. */
import type { Document } from '#model/document.ts'
import { unservedProtocols } from '#model/unserved-protocols.ts'
import { type Answer, answerJson, withHeaders } from './answer.ts'
import type { AdminRequest } from './endpoint.ts'
import { type EntityPorts, presentFor } from './ports.ts'

/** With `X-Meridian-Warning` where the entity is kept but nothing is served by it: clients of Kong look at status and body only. */
export function entityAnswer(
  ports: EntityPorts,
  request: AdminRequest,
  kind: string,
  status: number,
  document: Document,
): Answer {
  const answer = answerJson(status, presentFor(ports, request, kind, document))
  const unserved = unservedProtocols(kind, document, ports.servesStreams)
  if (unserved.length === 0) return answer
  return withHeaders(answer, {
    'X-Meridian-Warning': `stored, but not served, because stream_listen is off: ${unserved.join(', ')}`,
  })
}
