import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MemorySocket } from '../../../test/support/memory-socket.ts'
import { FloodGuard } from './flood-guard.ts'
import { FrameReader } from './frame-reader.ts'
import { DATA, frameHead, PING } from './frames.ts'

/** Pings take a token each, all other frames none. */
function bench() {
  const socket = new MemorySocket()
  const guard = new FloodGuard(1000, () => 0)
  const seen = { frames: 0, text: '', rounds: 0 }
  const sink = {
    isClosed: false,
    readsAreShared: false,
    readPreface: () => 0,
    readFrame(type: number, _flags: number, _id: number, bytes: Buffer, start: number, end: number) {
      seen.frames++
      seen.text += bytes.latin1Slice(start, end)
      if (type === PING) guard.take()
    },
    onFramesRead: () => void seen.rounds++,
    fail: () => void (sink.isClosed = true),
  }
  const reader = new FrameReader(socket.asSocket, sink, guard, 1000)
  reader.start()
  return { socket, sink, seen, reader }
}
const frames = (count: number, type: number, text = ''): Buffer =>
  Buffer.from((frameHead(text.length, type, 0, 0) + text).repeat(count), 'latin1')

test('of frames that do nothing so many are read in one turn, the rest in later ones, and nothing new meanwhile', async () => {
  const { socket, seen, reader } = bench()
  reader.onBytes(frames(150, PING), true)
  assert.deepEqual([seen.frames, seen.rounds, socket.isPaused()], [64, 0, true])
  await nextTurn()
  assert.deepEqual([seen.frames, seen.rounds, socket.isPaused()], [128, 0, true])
  await nextTurn()
  assert.deepEqual([seen.frames, seen.rounds, socket.isPaused()], [150, 1, false])
})

test('a flood that ends with its part is done with in the next turn', async () => {
  const { socket, seen, reader } = bench()
  reader.onBytes(frames(64, PING), true)
  assert.deepEqual([seen.rounds, socket.isPaused()], [0, true])
  await nextTurn()
  assert.deepEqual([seen.rounds, socket.isPaused()], [1, false])
})

test('of frames that carry something many more are read in one turn', async () => {
  const { socket, seen, reader } = bench()
  reader.onBytes(frames(511, DATA, 'x'), true)
  assert.deepEqual([seen.frames, seen.rounds, socket.isPaused()], [511, 1, false])
  reader.onBytes(frames(700, DATA, 'x'), true)
  assert.deepEqual([seen.frames, seen.rounds, socket.isPaused()], [511 + 512, 1, true])
  await nextTurn()
  assert.deepEqual([seen.frames, seen.rounds, socket.isPaused()], [511 + 700, 2, false])
})

test('bytes that come although reading was stopped wait behind the others, cut anywhere', async () => {
  const { seen, reader } = bench()
  const shared = Buffer.concat([frames(64, PING), frames(1, DATA, 'first '), frames(1, DATA, 'second ')])
  reader.onBytes(shared.subarray(0, -4), true)
  const later = Buffer.concat([shared.subarray(-4), frames(1, DATA, 'third')])
  reader.onBytes(later, true)
  // Shared memory is somebody else's by now.
  shared.fill(0)
  later.fill(0)
  await nextTurn()
  assert.equal(seen.text, 'first second third')
})

test('what waits of several connections is kept apart, also when one of them ends', async () => {
  const all = Array.from({ length: 12 }, bench)
  for (let round = 0; round < 3; round++) {
    for (const [n, { reader }] of all.entries())
      reader.onBytes(Buffer.concat([frames(100, PING), frames(1, DATA, `${round}.${n} `)]), true)
    if (round === 1) {
      all[0]!.sink.isClosed = true
      all[0]!.reader.drop()
      all[1]!.reader.onBytes(frames(1, DATA, 'more '), true)
    }
    // Eight go on in each turn.
    for (let turn = 0; turn < 4; turn++) await nextTurn()
  }
  assert.equal(all[0]!.seen.text, '0.0 ')
  assert.equal(all[1]!.seen.text, '0.1 1.1 more 2.1 ')
  for (const [n, { seen }] of all.entries()) if (n > 1) assert.equal(seen.text, `0.${n} 1.${n} 2.${n} `)
})

test('a connection that ended meanwhile is not read on', async () => {
  const { sink, seen, socket, reader } = bench()
  reader.onBytes(frames(150, PING), true)
  sink.isClosed = true
  await nextTurn()
  assert.deepEqual([seen.frames, socket.isPaused()], [64, true])
})

test('floods that were shut wait unread for their end, further ones are cut when their last word is out', async () => {
  const all = Array.from({ length: 66 }, bench)
  for (const { socket, reader } of all) {
    socket.end('bye')
    reader.stop(false)
    socket.receive(Buffer.from('more'))
  }
  await nextTurn()
  assert.deepEqual([...new Set(all.map(({ socket }) => socket.sent))], ['bye'])
  assert.equal(
    all.findIndex(({ socket }) => socket.destroyed),
    64,
  )
  assert.ok(all[65]!.socket.destroyed)
  for (const { socket } of all) socket.destroy()
  await nextTurn()
  const next = bench()
  next.socket.end('bye')
  next.reader.stop(false)
  await nextTurn()
  assert.equal(next.socket.destroyed, false)
})

test('a flood that need not hear of its end is cut when the last word is out', async () => {
  const { socket, reader } = bench()
  socket.end('bye')
  reader.stop(true)
  await nextTurn()
  assert.deepEqual([socket.sent, socket.destroyed], ['bye', true])
})
