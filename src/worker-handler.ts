/** What a worker does with requests as they come from clients. */
import type { ServerHandler } from '#http/client-side.ts'
import { refuseBadRequest } from '#proxy/bad-request.ts'
import { ProxyRun } from '#proxy/run.ts'
import type { WorkerContext } from '#proxy/worker-context.ts'

export function proxyHandler(context: WorkerContext): ServerHandler {
  return {
    onRequest(connection, head) {
      const run = new ProxyRun(context, connection, head)
      run.start()
      return run
    },
    onBadRequest: (connection, failure) => refuseBadRequest(context, connection, failure),
    onReset: (failure) => context.events.requestRefused(failure),
  }
}
