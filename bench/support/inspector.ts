/**
 * Looks into the threads of a running Node from outside, by its inspector protocol: what the gateway says about itself
 * is not what its memory is measured by.
 */
import type { Child } from '../../test/support/process.ts'

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: {
    readonly sessionId?: string
    readonly message?: string
    readonly workerInfo?: { readonly title: string }
  }
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

const CALL_TIMEOUT_MS = 60_000

export interface HeapUse {
  /** Objects, after two forced collections. */
  readonly usedBytes: number
  /** Memory of buffers outside the heap that objects hold. */
  readonly backingBytes: number
}

/** One thread of the process: the main one or a worker. */
export class InspectedThread {
  readonly name: string
  readonly #send: (text: string) => void
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>()
  #lastId = 0

  constructor(name: string, send: (text: string) => void) {
    this.name = name
    this.#send = send
  }

  receive({ id, result, error }: Message): void {
    const call = id === undefined ? undefined : this.#waiting.get(id)
    if (id === undefined || !call) return
    this.#waiting.delete(id)
    if (error) call.reject(new Error(`${this.name}: ${error.message}`))
    else call.resolve(result)
  }

  call(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Error(`${this.name} did not answer ${method} within ${CALL_TIMEOUT_MS} ms`))
      }, CALL_TIMEOUT_MS)
      const settle =
        <T>(act: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer)
          act(value)
        }
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
      this.#send(JSON.stringify({ id, method, params }))
    })
  }

  /** Evaluates an expression there; its value has to be JSON. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = (await this.call('Runtime.evaluate', { expression, returnByValue: true })) as {
      readonly result: { readonly value: T }
      readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string } }
    }
    const failure = answer.exceptionDetails
    if (failure) throw new Error(`${this.name}: ${failure.exception?.description ?? failure.text}`)
    return answer.result.value
  }

  async heapAfterCollection(): Promise<HeapUse> {
    // The first collection runs finalizers, whose objects only the second one frees.
    await this.call('HeapProfiler.collectGarbage')
    await this.call('HeapProfiler.collectGarbage')
    const use = (await this.call('Runtime.getHeapUsage')) as {
      readonly usedSize: number
      readonly backingStorageSize?: number
    }
    return { usedBytes: use.usedSize, backingBytes: use.backingStorageSize ?? 0 }
  }

  /** What keeps the thread's event loop alive, by kind: `{ Timeout: 3, TCPSocketWrap: 12 }`. */
  async activeResources(): Promise<Record<string, number>> {
    const kinds = await this.evaluate<string[]>('process.getActiveResourcesInfo()')
    const counts: Record<string, number> = {}
    for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1
    return counts
  }
}

export interface Inspector {
  readonly main: InspectedThread
  readonly workers: readonly InspectedThread[]
  readonly close: () => void
}

/** The option of Node that makes a process inspectable, on a port of the kernel's choice. */
export const INSPECT = '--inspect=127.0.0.1:0'

/** Connects to a process started with `INSPECT` and to the worker threads that it has by now. */
export async function inspect(child: Child): Promise<Inspector> {
  const [, url = ''] = await child.waitForOutput(/Debugger listening on (ws:\S+)/)
  const socket = new WebSocket(url)
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true })
    socket.addEventListener('error', () => reject(new Error(`no inspector at ${url}`)), { once: true })
  })
  const main = new InspectedThread('main thread', (text) => socket.send(text))
  const workers = new Map<string, InspectedThread>()
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message
    const session = message.params?.sessionId ?? ''
    if (message.method === 'NodeWorker.attachedToWorker') {
      const title = message.params?.workerInfo?.title ?? session
      const send = (text: string) =>
        void main.call('NodeWorker.sendMessageToWorker', { sessionId: session, message: text })
      workers.set(session, new InspectedThread(title, send))
    } else if (message.method === 'NodeWorker.receivedMessageFromWorker') {
      workers.get(session)?.receive(JSON.parse(message.params?.message ?? '{}') as Message)
    } else if (message.method === 'NodeWorker.detachedFromWorker') {
      workers.delete(session)
    } else {
      main.receive(message)
    }
  })
  // Attaching to each running worker is told before the answer to this.
  await main.call('NodeWorker.enable', { waitForDebuggerOnStart: false })
  return { main, workers: [...workers.values()], close: () => socket.close() }
}
