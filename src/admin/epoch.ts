/** `/cluster/epoch`: another beginning for the log, after its database was lost or put back to an earlier state. */
import { type Answer, answerJson, answerMessage } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import { inputOf } from './entity-input.ts'
import type { AdminPorts } from './ports.ts'

export function epochEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    {
      path: '/cluster/epoch',
      methods: {
        POST: {
          handler: (request) => begin(ports, request),
          about:
            "Begins another epoch with the state of this node's copy, for all nodes: after Cassandra was lost or restored. What others have beyond it is gone.",
          role: 'admin',
          body: {
            schema: {
              type: 'object',
              required: ['revision'],
              properties: {
                revision: { type: 'integer', minimum: 0, description: 'Where this node stands, as a confirmation.' },
              },
            },
            required: true,
          },
          answers: {
            200: { schema: { type: 'object' } },
            400: 'error',
            405: 'message',
            409: 'message',
            415: 'message',
          },
        },
      },
    },
  ]
}

async function begin({ beginEpoch, store, model }: AdminPorts, request: AdminRequest): Promise<Answer> {
  if (beginEpoch === null) return answerMessage(405, 'only a configuration that is kept in Cassandra has epochs')
  const { revision } = inputOf(model, EPOCH_BODY, request.body)
  if (!Number.isSafeInteger(revision)) return answerMessage(400, 'revision: expected the revision of this node')
  const head = (await store.head()).revision
  if (revision !== head)
    return answerMessage(409, `revision: expected ${head}, where this node stands, got ${String(revision)}`)
  return answerJson(200, { revision: await beginEpoch() })
}

const EPOCH_BODY = {
  kind: 'epoch',
  about: 'The body of the beginning of an epoch.',
  fields: { revision: { type: 'integer' } },
} as const
