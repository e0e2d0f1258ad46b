/** `GET /consumers?custom_id=`: the one list that Kong filters by a field. */
import { type Answer, answerJson, answerMessage } from './answer.ts'
import type { AdminRequest, Endpoint, Operation } from './endpoint.ts'
import { readAnswer } from './entity-handlers.ts'
import { type EntityPorts, presentFor } from './ports.ts'

/** `generated`: the operation that it stands in front of. */
export function consumerEndpoints(ports: EntityPorts, generated: Operation): Endpoint[] {
  const custom = {
    name: 'custom_id',
    about: 'Only the consumer with this `custom_id`.',
    schema: { type: 'string', minLength: 1 },
  }
  return [
    {
      path: '/consumers',
      isInWorkspace: true,
      methods: {
        GET: {
          ...generated,
          query: [...(generated.query ?? []), custom],
          handler: (request) =>
            request.query.one('custom_id') === undefined ? generated.handler(request) : byCustomId(ports, request),
        },
      },
    },
  ]
}

async function byCustomId(ports: EntityPorts, request: AdminRequest): Promise<Answer> {
  const customId = request.query.one('custom_id')
  if (customId === null || customId === '' || customId === undefined)
    return answerMessage(400, 'custom_id must be an unempty string')
  return await readAnswer(ports, async (state) => {
    const row = await state.lookup('consumers', 'custom_id', customId, request.workspace)
    return answerJson(200, {
      data: row === undefined ? [] : [presentFor(ports, request, 'consumers', row.document)],
      next: null,
    })
  })
}
