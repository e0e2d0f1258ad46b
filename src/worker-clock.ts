/** The HTTP date, made twice a second. */
export function createClock(): { date: string } {
  const clock = { date: new Date().toUTCString() }
  setInterval(() => {
    clock.date = new Date().toUTCString()
  }, 500).unref()
  return clock
}
