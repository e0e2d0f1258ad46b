/** Attackers in a process of their own: `flood-child.ts NAME PORT`, until it is ended; then it says what they did. */
import { http2Floods, startFlood } from '../../test/support/http2-floods.ts'

const ATTACKERS = 4
const [, , name, port] = process.argv
const flood = http2Floods.find((one) => one.name === name)
if (flood === undefined) throw new Error(`there is no flood of ${name}`)
const { figures } = startFlood(flood, Number(port), ATTACKERS)
process.stdout.write('ATTACKING\n')
process.once('SIGTERM', () => {
  process.stdout.write(`MADE ${figures.connections} SENT ${figures.bytes}\n`, () => process.exit())
})
