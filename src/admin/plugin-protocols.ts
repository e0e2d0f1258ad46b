/** Whether a plugin that is written shares a protocol with its route, or with a route of its service. */
import type { FieldErrors } from '#model/contract.ts'
import type { Document } from '#model/document.ts'
import { protocolErrors } from '#model/plugin-protocols.ts'
import type { StateReader } from '#store/contract.ts'
import type { Input } from './entity-input.ts'
import { everyRow } from './ports.ts'

/** Kong asks only when protocols are given, or when a change moves the plugin: the default suits nobody's raw TCP route. */
export function givesProtocols(input: Input, isChange: boolean): boolean {
  const isGiven = (name: string) => input[name] !== undefined && input[name] !== null
  return isGiven('protocols') || (isChange && (isGiven('route') || isGiven('service')))
}

/** What is wrong with the plugin's protocols, null when nothing is. A route or service that is not there is found by the store. */
export async function mismatchOf(state: StateReader, plugin: Document): Promise<FieldErrors | null> {
  const routeId = idIn(plugin['route'])
  const serviceId = idIn(plugin['service'])
  if (routeId !== null) {
    const route = await state.get('routes', routeId)
    return protocolErrors(plugin, route === undefined ? [] : [route.document])
  }
  if (serviceId === null) return null
  const routes = await Array.fromAsync(
    everyRow(state, 'routes', { reference: { field: 'service', id: serviceId } }),
    ({ document }) => document,
  )
  return protocolErrors(plugin, routes)
}

function idIn(reference: unknown): string | null {
  return (reference as { readonly id?: string } | null | undefined)?.id ?? null
}
