/** A queue whose entries are datagrams. What no datagram can hold is dropped and counted as too large. */
import type { DeliveryQueue, PluginTools } from './pdk.ts'
import { PLAIN_QUEUE } from './queue-parameters.ts'
import { LARGEST_DATAGRAM_BYTES, UdpSender } from './send-udp.ts'

export function openDatagramQueue(
  place: { readonly host: string; readonly port: number; readonly timeoutMs: number },
  { delivery, lookup }: Pick<PluginTools, 'delivery' | 'lookup'>,
): DeliveryQueue<Buffer> {
  const sender = new UdpSender({ ...place, lookup })
  return delivery.openQueue<Buffer>({
    // One at a time: what was sent before a failure must not be sent again.
    parameters: { ...PLAIN_QUEUE, maxBatchSize: 1 },
    largestBytes: LARGEST_DATAGRAM_BYTES,
    async send([datagram]) {
      await sender.send(datagram!)
      return null
    },
    onClosed: () => sender.close(),
  })
}
