/** What upstream and client are told about a session, in Kong's `Session-*` headers. */
import { FieldName, type HeaderList } from '#pdk'
import { headerValue } from '#pdk/wire-text.ts'
import { remaining, type Login, type Session, type Timeouts } from './session.ts'

export type Told = 'id' | 'audience' | 'subject' | 'timeout' | 'idling-timeout' | 'rolling-timeout' | 'absolute-timeout'

export interface ToldField {
  readonly what: Told
  readonly field: FieldName
}

export function toldFields(names: readonly (string | number)[] | null): readonly ToldField[] {
  const titled = (what: string) => what.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())
  return ((names ?? []) as readonly Told[]).map((what) => ({ what, field: new FieldName(`Session-${titled(what)}`) }))
}

export function tell(
  headers: HeaderList,
  fields: readonly ToldField[],
  session: Session,
  login: Login,
  timeouts: Timeouts,
  nowMs: number,
): void {
  for (const { what, field } of fields) {
    const value = valueOf(what, session, login, timeouts, nowMs)
    if (value === null) field.remove(headers)
    else field.set(headers, value)
  }
}

function valueOf(what: Told, session: Session, login: Login, timeouts: Timeouts, nowMs: number): string | null {
  const [idling, rolling, absolute] = remaining(session, timeouts, nowMs)
  switch (what) {
    case 'id':
      return session.id
    case 'audience':
      return headerValue(session.audience)
    case 'subject':
      return headerValue(login.consumer ?? login.credential)
    case 'timeout':
      return seconds(Math.min(idling, rolling, absolute))
    case 'idling-timeout':
      return seconds(idling)
    case 'rolling-timeout':
      return seconds(rolling)
    case 'absolute-timeout':
      return seconds(absolute)
  }
}

/** Null: not limited. */
function seconds(ms: number): string | null {
  return ms === Infinity ? null : String(Math.max(0, Math.ceil(ms / 1000)))
}
