/** A process that opens a driver, waits a little for the connection, closes it, and should then end by itself. */
import { openCassandraDriver } from '#store/cassandra/driver.ts'

const [contactPoint = '', port = '', localDataCenter = '', waitMs = ''] = process.argv.slice(2)
const driver = openCassandraDriver({ contactPoints: [contactPoint], port: Number(port), localDataCenter })
// Whether it connects is not what the test is about.
if (waitMs !== '0') await driver.whenConnected(Number(waitMs)).catch(() => {})
await driver.close()
process.stdout.write('closed\n')
