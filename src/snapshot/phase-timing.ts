/** Takes the time of every plugin's part in a phase, in plans of which a plugin asks for that. Other plans don't know of it. */
import type { Exchange, PhaseTime } from '#pdk/exchange.ts'
import type { PluginInstance, Step } from './plan.ts'

/** Whether one of the plugins tells of the others. */
export function areTimed(instances: readonly PluginInstance[]): boolean {
  return instances.some(({ plugin, state, broken }) => broken === null && plugin.timesPhases?.(state) === true)
}

/** The steps, each of which leaves its time in the exchange. */
export function timed<R>(steps: readonly Step<R>[], phase: PhaseTime['phase']): Step<R>[] {
  return steps.map(({ instance, run }) => ({
    instance,
    run: (exchange, state) => {
      const startMs = performance.now()
      let result: R
      try {
        result = run(exchange, state)
      } catch (error) {
        keep(exchange, phase, instance, startMs)
        throw error
      }
      if (!isPromise(result)) {
        keep(exchange, phase, instance, startMs)
        return result
      }
      return result.finally(() => keep(exchange, phase, instance, startMs)) as R
    },
  }))
}

function keep(exchange: Exchange, phase: PhaseTime['phase'], { name }: PluginInstance, startMs: number): void {
  const time = { phase, plugin: name, startMs, endMs: performance.now() }
  if (exchange.phaseTimes === null) exchange.phaseTimes = [time]
  else exchange.phaseTimes.push(time)
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value
}
