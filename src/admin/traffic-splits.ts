/** What the sides of a plugin traffic-split are given and did on this node, and letting an aborted one go on. */
import { type Answer, answerJson, NO_CONTENT, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import type { AdminPorts } from './ports.ts'

export function trafficSplitEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    {
      path: '/traffic-split/{plugin_id}',
      methods: {
        GET: {
          handler: (request) => show(ports, request),
          about:
            'What each side of a traffic split is given on this node, whether it is aborted, and what it did in the window.',
          role: 'viewer',
          answers: { 200: { schema: { type: 'object' } }, 404: 'message' },
        },
      },
    },
    {
      path: '/traffic-split/{plugin_id}/{target}/aborted',
      methods: {
        DELETE: {
          handler: (request) => resume(ports, request),
          about: 'Gives a target its share again on this node; it is judged by what comes from now on.',
          role: 'editor',
          answers: { 204: 'empty', 404: 'message' },
        },
      },
    },
  ]
}

async function show({ trafficSplits }: AdminPorts, { parameters }: AdminRequest): Promise<Answer> {
  const report = await trafficSplits.show(parameters['plugin_id']!)
  return report === null ? NOT_FOUND : answerJson(200, report)
}

async function resume({ trafficSplits }: AdminPorts, { parameters }: AdminRequest): Promise<Answer> {
  return (await trafficSplits.resume(parameters['plugin_id']!, parameters['target']!)) ? NO_CONTENT : NOT_FOUND
}
