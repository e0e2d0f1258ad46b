/**
 * `npm run bench:limits`: what rate limits in a Redis cost a request, against bench/state/limits.ts, and how exact they are. Parts: cost,
 * latency, silent, decisions; options as in bench/state/run.ts. With nginx, wrk, h2load and redis-server, see `npm run test:parts`.
 */
import { measureCost } from './state/cost.ts'
import { measureDecisions } from './state/decisions.ts'
import { measureStrictLatency } from './state/latency.ts'
import { runParts } from './state/run.ts'
import { measureSilence } from './state/silence.ts'
import { redisVersion } from './state/redis-version.ts'

await runParts(
  { cost: measureCost, latency: measureStrictLatency, silent: measureSilence, decisions: measureDecisions },
  await redisVersion(),
)
