/** What limits of the plugin traffic-limit have counted of somebody, over all data centers. */
import { type Answer, answerJson, answerMessage, NO_CONTENT, NOT_FOUND } from './answer.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import type { AdminPorts, LimitReport } from './ports.ts'

export function trafficLimitEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    {
      path: '/traffic-limit/{plugin_id}/{subject}',
      methods: {
        GET: {
          handler: (request) => show(ports, request),
          about:
            'What was counted of somebody: the id of a consumer, credential, service or group, or an address or a value of a header, as `limit_by` says.',
          role: 'viewer',
          answers: { 200: { schema: { type: 'object' } }, 404: 'message' },
        },
        DELETE: {
          handler: (request) => reset(ports, request),
          about: 'Begins anew: what was counted until now no longer counts.',
          role: 'editor',
          answers: { 204: 'empty', 404: 'message', 409: 'message', 503: 'message' },
        },
      },
    },
  ]
}

async function show({ trafficLimits }: AdminPorts, { parameters }: AdminRequest): Promise<Answer> {
  const subject = parameters['subject']!
  const reports = await trafficLimits.show(parameters['plugin_id']!, subject)
  return reports === null ? NOT_FOUND : answerJson(200, { subject, limits: reports.map(shown) })
}

async function reset({ trafficLimits }: AdminPorts, { parameters }: AdminRequest): Promise<Answer> {
  const silent = await trafficLimits.reset(parameters['plugin_id']!, parameters['subject']!)
  if (silent === null) return NOT_FOUND
  if (silent === 'synced') return answerMessage(409, 'counters with a sync_rate end with their window and not before')
  if (silent.length === 0) return NO_CONTENT
  return answerMessage(503, `reset, but not in all data centers: ${silent.join(', ') || 'Redis does not answer'}`)
}

function shown({ name, tier, limit, most, algorithm, startsAtMs, endsAtMs, used, dataCenters }: LimitReport): object {
  return {
    name,
    tier,
    limit,
    algorithm,
    ...(algorithm === 'bucket'
      ? { burst: most }
      : { starts_at: new Date(startsAtMs).toISOString(), ends_at: new Date(endsAtMs).toISOString() }),
    used: used === null ? null : rounded(used),
    remaining: used === null ? null : Math.max(0, Math.floor(most - used + 1e-9)),
    data_centers: dataCenters
      .filter((each) => each.name !== '')
      .map((each) => ({
        name: each.name,
        reachable: each.isReachable,
        used: rounded(each.used),
        ...(each.share !== null && { share: each.share }),
      })),
  }
}

function rounded(used: number): number {
  return Math.round(used * 1000) / 1000
}
