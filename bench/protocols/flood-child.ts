/**
 * Attackers in a process of their own: `flood-child.ts NAME PORT each|new`, until it is ended; then it says what they did. Each has an
 * address of its own, or every connection another one.
 */
import { http2Floods, startFlood } from '../../test/support/http2-floods.ts'

const ATTACKERS = 4
const [, , name, port, addresses] = process.argv
const flood = http2Floods.find((one) => one.name === name)
if (flood === undefined) throw new Error(`there is no flood of ${name}`)
const from =
  addresses === 'new'
    ? (_: number, connection: number) =>
        `127.${1 + ((connection >> 16) & 63)}.${(connection >> 8) & 255}.${connection & 255}`
    : (client: number) => `127.0.0.${2 + client}`
const { figures } = startFlood(flood, Number(port), ATTACKERS, from)
process.stdout.write('ATTACKING\n')
process.once('SIGTERM', () => {
  process.stdout.write(`MADE ${figures.connections} SENT ${figures.bytes}\n`, () => process.exit())
})
