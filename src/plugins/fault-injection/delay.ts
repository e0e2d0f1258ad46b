/** How long a request is delayed. */
import type { DelayConfig } from './schema.ts'

/** In whole ms, between `min` and `max`. `random` answers numbers from 0 on, below 1. */
export function delayOf(config: DelayConfig, random: () => number): number {
  const { min, max } = config
  return Math.round(Math.min(max, Math.max(min, drawn(config, random))))
}

function drawn({ distribution, time, deviation, min, max }: DelayConfig, random: () => number): number {
  switch (distribution) {
    case 'uniform':
      return min + random() * (max - min)
    case 'exponential':
      // 1 - random is never 0.
      return -Math.log(1 - random()) * time!
    case 'normal':
      // Box-Muller.
      return time! + deviation! * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    default:
      return time!
  }
}
