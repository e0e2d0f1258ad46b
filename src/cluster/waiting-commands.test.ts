import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WaitingCommands } from './waiting-commands.ts'

const add = (list: WaitingCommands<string>, owner: string, atMs: number, answers: unknown[]) =>
  list.add(owner, atMs, (answer) => answers.push(answer))

test('what is done is out at once, wherever it stood, and holds no other', () => {
  const list = new WaitingCommands<string>()
  const answers: unknown[] = []
  const [a, b, c, d] = [1, 2, 3, 4].map((atMs) => add(list, 'x', atMs, answers))
  for (const [command, oldest] of [
    [b!, a!],
    [a!, c!],
    [d!, c!],
    [c!, null],
  ] as const) {
    list.settle(command, command.sentAtMs)
    assert.deepEqual([command.isWaiting, command.previous, command.next], [false, null, null])
    assert.equal(list.oldest, oldest)
  }
  assert.deepEqual([list.size, answers], [0, [2, 1, 4, 3]])
  const e = add(list, 'x', 5, answers)
  assert.deepEqual([list.size, list.oldest], [1, e])
})

test('a second answer is none', () => {
  const list = new WaitingCommands<string>()
  const answers: unknown[] = []
  const a = add(list, 'x', 1, answers)
  add(list, 'x', 2, answers)
  list.settle(a, 'first')
  list.settle(a, 'second')
  assert.deepEqual([list.size, answers], [1, ['first']])
})

test('lists those of one owner or all, and may be changed meanwhile', () => {
  const list = new WaitingCommands<string>()
  const answers: unknown[] = []
  for (const [at, owner] of ['x', 'y', 'x', 'y'].entries()) add(list, owner, at, answers)
  for (const command of list.list('y')) list.settle(command, command.sentAtMs)
  assert.deepEqual(answers, [1, 3])
  assert.deepEqual(
    list.list(null).map(({ sentAtMs }) => sentAtMs),
    [0, 2],
  )
})

test('what was held counts from when it is sent; what came before, or is answered, does not', () => {
  const list = new WaitingCommands<string>()
  const answers: unknown[] = []
  const [a, b, c] = [1, 2, 3].map((atMs) => add(list, 'x', atMs, answers))
  list.hold(b!)
  list.hold(c!)
  list.settle(b!, 'early')
  list.sent(10)
  list.sent(20)
  const d = add(list, 'x', 21, answers)
  assert.deepEqual(
    [a!, b!, c!, d].map(({ sentAtMs }) => sentAtMs),
    [1, 2, 10, 21],
  )
})
