/**
 * The block of numbers that a worker shares with the main thread: a heartbeat, what it is doing (so that a hung one can be named),
 * and figures that the Admin API shows without asking.
 */
import { fnv1a } from './fnv1a.ts'

export const PULSE_INTS = 8
export const PULSE_BEAT = 0
/** Hashes (`idHash`) of the route and of the plugin instance that runs; 0 for none. */
export const PULSE_ROUTE = 1
export const PULSE_PLUGIN = 2
/** Connections accepted, open; requests in flight, in all (the sums wrap at 2^31). */
export const PULSE_ACCEPTED = 3
export const PULSE_ACTIVE = 4
export const PULSE_BUSY = 5
export const PULSE_REQUESTS = 6
/** Heap in use, MiB. */
export const PULSE_HEAP = 7

/** A number for an id, never 0. Two ids with one number would name the wrong one in a log line, once in four thousand million. */
export function idHash(id: string): number {
  return fnv1a(id) | 0 || 1
}
