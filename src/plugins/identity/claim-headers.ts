/** Headers for the upstream that are made of claims. */
import { FieldName, type HeaderList } from '#pdk'
import { headerValue } from '#pdk/wire-text.ts'
import { findClaim, headerTextOf, type Claims } from './claims.ts'

export interface ClaimHeader {
  readonly path: readonly string[]
  readonly field: FieldName
}

/** Claims and names stand at the same places of two lists. */
export function claimHeaders(
  claims: readonly string[] | null,
  names: readonly string[] | null,
): readonly ClaimHeader[] {
  return (claims ?? []).flatMap((claim, at) => {
    const name = names?.[at]
    return name === undefined ? [] : [{ path: [claim], field: new FieldName(name) }]
  })
}

/** Takes the headers off a request, so that a client can't claim to be somebody. */
export function clearClaimHeaders(headers: HeaderList, fields: readonly ClaimHeader[]): void {
  for (const { field } of fields) field.remove(headers)
}

export function setClaimHeaders(headers: HeaderList, fields: readonly ClaimHeader[], sources: readonly Claims[]): void {
  for (const { path, field } of fields) {
    const text = headerTextOf(findClaim(sources, path))
    if (text === null) field.remove(headers)
    else field.set(headers, headerValue(text))
  }
}
