/** Balancers for tests of what is compiled: they choose nothing and say what they were told. */
import type { LivingBalancer } from './compiler.ts'

export interface FakeBalancer extends LivingBalancer {
  readonly label: string
  readonly targets: string[]
  updates: number
  isClosed: boolean
}

export function fakeBalancer(label: string, targets: string[]): FakeBalancer {
  return {
    label,
    targets,
    updates: 0,
    isClosed: false,
    needsHash: false,
    hashInput: () => null,
    pick: () => ({ ok: false, code: 'no_targets', message: '' }),
    started: () => undefined,
    ended: () => undefined,
    refresh: () => undefined,
    update(_upstream, list) {
      this.updates++
      this.targets.splice(0, Infinity, ...list.map(({ target }) => target))
    },
    changeTargets(put, removed) {
      this.targets.push(...put.map(({ target }) => target))
      for (const name of removed) this.targets.splice(this.targets.indexOf(name), 1)
    },
    close() {
      this.isClosed = true
    },
  }
}
