import type { DeliveryQueue, PluginTools, QueueParameters } from './pdk.ts'
import { HttpSender, type HttpSenderOptions } from './send-http.ts'

export interface HttpQueueOptions<T> extends Omit<HttpSenderOptions, 'connections' | 'trusted' | 'lookup'> {
  /** For plugins with more than one queue. */
  readonly name?: string
  readonly parameters: QueueParameters
  readonly bodyOf: (batch: readonly T[]) => string | Buffer
}

/** A queue whose batches go to an HTTP receiver, over as many connections as batches may be under way. */
export function openHttpQueue<T>(
  { trusted, lookup, delivery }: Pick<PluginTools, 'trusted' | 'lookup' | 'delivery'>,
  { name, parameters, bodyOf, ...receiver }: HttpQueueOptions<T>,
): DeliveryQueue<T> {
  const sender = new HttpSender({ ...receiver, connections: parameters.concurrency, trusted, lookup })
  return delivery.openQueue<T>({
    ...(name !== undefined && { name }),
    parameters,
    send: (batch, signal) => sender.send(bodyOf(batch), signal),
    onClosed: () => void sender.close(),
  })
}
