/**
 * `npm run bench:responses`: what stored responses in a Redis cost a request, against bench/state/limits.ts. Parts: stored, cost; options
 * as in bench/state/run.ts. With nginx, wrk, h2load and redis-server, see `npm run test:parts`.
 */
import { redisVersion } from './state/redis-version.ts'
import { measureResponses } from './state/responses-cost.ts'
import { runParts } from './state/run.ts'
import { measureStored } from './state/stored.ts'

await runParts({ stored: measureStored, cost: measureResponses }, await redisVersion())
