import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explainConnectFailure, explainDriverFailure, type StatementKind } from './driver-failure.ts'

/** As the driver makes them: only names and fields count. */
function driverError(name: string, fields: Readonly<Record<string, unknown>> = {}): Error {
  return Object.assign(new Error('what the driver says'), { name, ...fields })
}
const response = (code: number, fields: Readonly<Record<string, unknown>> = {}) =>
  driverError('ResponseError', { code, ...fields })
const noHost = (...inner: readonly unknown[]) =>
  driverError('NoHostAvailableError', {
    innerErrors: Object.fromEntries(inner.map((one, at) => [`10.0.0.${at}`, one])),
  })

const SERIAL = 8
const EACH_QUORUM = 7

const cases: readonly (readonly [string, Error, StatementKind, string, boolean])[] = [
  [
    'a write that too few replicas are alive for',
    response(0x1000, { consistencies: EACH_QUORUM }),
    'write',
    'unavailable',
    true,
  ],
  [
    'a transaction that no majority is alive for',
    response(0x1000, { consistencies: SERIAL }),
    'conditional',
    'unavailable',
    true,
  ],
  // Measured: with one of three data centers down, and EACH_QUORUM to commit, the row was there afterwards.
  [
    'a transaction that was decided and could not be committed',
    response(0x1000, { consistencies: EACH_QUORUM }),
    'conditional',
    'unavailable',
    false,
  ],
  ['a write that timed out', response(0x1100), 'write', 'timeout', false],
  ['a transaction that timed out', response(0x1100, { consistencies: SERIAL }), 'conditional', 'timeout', false],
  ['a transaction whose read timed out', response(0x1200, { consistencies: SERIAL }), 'conditional', 'timeout', false],
  ['a read that timed out', response(0x1200), 'read', 'timeout', true],
  ['a write that failed on a replica', response(0x1500), 'write', 'unavailable', false],
  ['an error inside the server', response(0x0000), 'write', 'unavailable', false],
  ['overload before anything is done', response(0x1001), 'write', 'overloaded', true],
  [
    'overload by hints, with some replicas written',
    Object.assign(response(0x1001), { message: 'Too many in flight hints: 10' }),
    'write',
    'overloaded',
    false,
  ],
  ['a node that only starts', response(0x1002), 'write', 'unavailable', true],
  ['a statement that is none', response(0x2000), 'conditional', 'invalid', true],
  ['a table that is not there', response(0x2200), 'write', 'invalid', true],
  ['a role without the right', response(0x2100), 'write', 'refused', true],
  ['no answer in time', driverError('OperationTimedOutError'), 'conditional', 'timeout', false],
  ['a connection that was cut', driverError('Error', { isSocketError: true }), 'write', 'unreachable', false],
  [
    'a connection that was cut before',
    driverError('Error', { isSocketError: true, requestNotWritten: true }),
    'write',
    'unreachable',
    true,
  ],
  ['no node', noHost(), 'conditional', 'unreachable', true],
  ['no node that is up', noHost('Host considered as DOWN'), 'write', 'unreachable', true],
  ['only busy nodes', noHost(driverError('BusyConnectionError')), 'write', 'overloaded', true],
  ['a wrong password', noHost(driverError('AuthenticationError')), 'write', 'refused', true],
  [
    'a certificate of nobody',
    noHost(Object.assign(new Error('x'), { code: 'SELF_SIGNED_CERT_IN_CHAIN' })),
    'read',
    'refused',
    true,
  ],
  ['a read that no other node can answer either', noHost(response(0x1000)), 'read', 'unavailable', true],
  ['a value that can not be encoded', new TypeError('Not a valid bigint'), 'write', 'invalid', true],
  ['anything else', new Error('boom'), 'write', 'unreachable', false],
]

for (const [name, error, kind, reason, isSettled] of cases) {
  test(`${name} is ${reason}, ${isSettled ? 'settled' : 'open'}`, () => {
    const failure = explainDriverFailure(error, kind)
    assert.deepEqual([failure.reason, failure.isSettled, failure.cause], [reason, isSettled, error])
    assert.equal(explainDriverFailure(failure, kind), failure)
  })
}

test('a failure names the nodes that were tried, each with its reason', () => {
  const { message } = explainDriverFailure(noHost(new Error('connect ECONNREFUSED'), 'Host considered as DOWN'), 'read')
  assert.equal(message, 'no node could be asked (10.0.0.0: connect ECONNREFUSED; 10.0.0.1: Host considered as DOWN)')
  assert.equal(explainDriverFailure(noHost(), 'read').message, 'no node could be asked')
})

test('a data center that is none is told with the setting and the names that there are', () => {
  const error = driverError('ArgumentError')
  error.message = 'Datacenter dc9 was not found. Available DCs are: [dc2,dc1]'
  const { reason, message } = explainConnectFailure(error, { localDataCenter: 'dc9' })
  assert.equal(reason, 'refused')
  assert.equal(message, "cassandra_local_datacenter: expected a data center of the cluster (dc1, dc2), got 'dc9'")
})
