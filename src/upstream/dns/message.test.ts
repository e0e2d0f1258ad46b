import assert from 'node:assert/strict'
import { isIPv4 } from 'node:net'
import { test } from 'node:test'
import dnsPacket, { type Packet } from 'dns-packet'
import fc from 'fast-check'
import { encodeQuestion, readAnswer, type Question } from './message.ts'

const question: Question = { id: 4711, name: 'www.a.test', type: 'A' }

function answerTo(change: Partial<Packet> = {}): Buffer {
  return dnsPacket.encode({
    type: 'response',
    id: question.id,
    flags: 0,
    questions: [{ name: 'www.a.test', type: 'A', class: 'IN' }],
    answers: [{ type: 'A', name: 'WWW.A.test', ttl: 30, data: '10.0.0.1' }],
    ...change,
  })
}

test('a question asks for recursion, class IN and large answers', () => {
  const packet = dnsPacket.decode(encodeQuestion(question, true))
  assert.equal(packet.id, 4711)
  assert.equal(packet.flag_rd, true)
  assert.deepEqual(packet.questions, [{ name: 'www.a.test', type: 'A', class: 'IN' }])
  assert.partialDeepStrictEqual(packet.additionals, [{ type: 'OPT', udpPayloadSize: 1232 }])
  assert.deepEqual(dnsPacket.decode(encodeQuestion(question, false)).additionals, [])
})

test('an answer is read with names in lower case', () => {
  assert.deepEqual(readAnswer(answerTo(), question), {
    isTruncated: false,
    rcode: 0,
    answers: [{ type: 'A', name: 'www.a.test', ttlSeconds: 30, ip: '10.0.0.1' }],
    additionals: [],
    hasAuthority: false,
  })
})

test('the question may come back in another case', () => {
  const reading = readAnswer(answerTo({ questions: [{ name: 'WwW.a.TEST', type: 'A', class: 'IN' }] }), question)
  assert.ok(typeof reading === 'object')
})

test('what is no answer to this question is foreign', () => {
  const foreign = {
    'another id': answerTo({ id: 4712 }),
    'a query': answerTo({ type: 'query' }),
    'another opcode': answerTo({ flags: 2 << 11 }),
    'another name': answerTo({ questions: [{ name: 'a.test', type: 'A', class: 'IN' }] }),
    'another type': answerTo({ questions: [{ name: 'www.a.test', type: 'AAAA', class: 'IN' }] }),
    'another class': answerTo({ questions: [{ name: 'www.a.test', type: 'A', class: 'CH' }] }),
    'no question': answerTo({ questions: [] }),
    'two questions': answerTo({
      questions: [
        { name: 'www.a.test', type: 'A' },
        { name: 'www.a.test', type: 'A' },
      ],
    }),
    'too short': Buffer.from([0x12, 0x67]),
  }
  for (const [what, bytes] of Object.entries(foreign)) assert.equal(readAnswer(bytes, question), 'foreign', what)
})

test('a server that could not read the question may answer without it', () => {
  assert.partialDeepStrictEqual(readAnswer(answerTo({ questions: [], answers: [], flags: 1 }), question), { rcode: 1 })
})

test('an answer cut off in the middle of a record still says that it is cut off', () => {
  const whole = answerTo({ flags: dnsPacket.TRUNCATED_RESPONSE })
  assert.partialDeepStrictEqual(readAnswer(whole.subarray(0, -3), question), { isTruncated: true, answers: [] })
  assert.equal(readAnswer(answerTo().subarray(0, -3), question), 'malformed')
})

test('a TTL with the top bit set is zero', () => {
  const bytes = answerTo({ answers: [{ type: 'A', name: 'www.a.test', ttl: 0x80000001, data: '10.0.0.1' }] })
  assert.partialDeepStrictEqual(readAnswer(bytes, question), { answers: [{ ttlSeconds: 0 }] })
})

test('the upper bits of the rcode come from EDNS', () => {
  const opt = { type: 'OPT', name: '.', extendedRcode: 1, udpPayloadSize: 1232, ednsVersion: 0, flags: 0 } as const
  const bytes = answerTo({ additionals: [{ ...opt, flag_do: false, options: [] }] })
  assert.partialDeepStrictEqual(readAnswer(bytes, question), { rcode: 16 })
})

test('no bytes make reading throw or give an address that is none', () => {
  const whole = answerTo({ additionals: [{ type: 'SRV', name: 'x.test', data: { target: 'y.test', port: 1 } }] })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 }),
      fc.nat(whole.length),
      (edits, length) => {
        const bytes = Buffer.from(whole)
        for (const [at, value] of edits) bytes[at] = value
        bytes.writeUInt16BE(question.id, 0)
        const reading = readAnswer(bytes.subarray(0, length), question)
        if (typeof reading === 'string') return assert.match(reading, /^(foreign|malformed)$/)
        for (const record of reading.answers) if (record.type === 'A') assert.ok(isIPv4(record.ip), record.ip)
      },
    ),
    { numRuns: 2000 },
  )
})
