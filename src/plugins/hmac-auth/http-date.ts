/** The three forms of a date in HTTP (RFC 9110 5.6.7): today's, and two from before it. */
const IMF_FIXDATE = /^[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}:\d{2}:\d{2}) GMT$/
const RFC_850 = /^[A-Z][a-z]+day, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}:\d{2}:\d{2}) GMT$/
const ASCTIME = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}:\d{2}:\d{2}) (\d{4})$/

/** Unix time in ms; null for what is no such date. */
export function parseHttpDate(text: string): number | null {
  const parts = partsOf(text)
  if (parts === null) return null
  const atMs = Date.parse(`${parts.day.trim()} ${parts.month} ${parts.year} ${parts.time} GMT`)
  return Number.isNaN(atMs) ? null : atMs
}

interface Parts {
  readonly day: string
  readonly month: string
  readonly year: string
  readonly time: string
}

function partsOf(text: string): Parts | null {
  const fixed = IMF_FIXDATE.exec(text)
  if (fixed) return { day: fixed[1]!, month: fixed[2]!, year: fixed[3]!, time: fixed[4]! }
  const old = RFC_850.exec(text)
  // Two digits of a year are read as nginx reads them.
  if (old) return { day: old[1]!, month: old[2]!, year: (Number(old[3]) < 70 ? '20' : '19') + old[3]!, time: old[4]! }
  const c = ASCTIME.exec(text)
  return c && { day: c[2]!, month: c[1]!, year: c[4]!, time: c[3]! }
}
