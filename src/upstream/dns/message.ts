/** DNS messages: our question as bytes, and what an answer's bytes say about it. */
import { isIPv4, isIPv6 } from 'node:net'
import dnsPacket from 'dns-packet'
import { comparableName } from './dns-name.ts'

export type RecordType = 'A' | 'AAAA' | 'SRV' | 'CNAME'

export interface Question {
  /** 0..65535, unpredictable: with the random source port it is what keeps forged answers out (RFC 5452). */
  readonly id: number
  readonly name: string
  readonly type: RecordType
}

interface RecordHead {
  /** In comparable form, like every name here. */
  readonly name: string
  readonly ttlSeconds: number
}
export type AddressRecord = RecordHead & { readonly type: 'A' | 'AAAA'; readonly ip: string }
export type SrvRecord = RecordHead & {
  readonly type: 'SRV'
  readonly target: string
  readonly port: number
  readonly weight: number
  readonly priority: number
}
export type CnameRecord = RecordHead & { readonly type: 'CNAME'; readonly target: string }
export type DnsRecord = AddressRecord | SrvRecord | CnameRecord

/** What the received bytes are: something else (a forgery or a late answer), broken, or the answer. */
export type Reading = 'foreign' | 'malformed' | Answer

export interface Answer {
  readonly isTruncated: boolean
  /** RFC 1035 4.1.1, with the upper bits of EDNS. */
  readonly rcode: number
  readonly answers: readonly DnsRecord[]
  /** Records that were not asked for but help, such as the addresses of SRV targets. */
  readonly additionals: readonly DnsRecord[]
  /** Whether the server vouches that there is nothing more: an SOA in the authority section (RFC 2308 2.2). */
  readonly hasAuthority: boolean
}

export const RCODE = {
  ok: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const

/** What fits into one unfragmented packet on practically every path (DNS flag day 2020). */
const UDP_PAYLOAD_BYTES = 1232
const HEADER_BYTES = 12
const FLAG_RESPONSE = 0x8000
const FLAG_TRUNCATED = 0x0200
const MASK_OPCODE = 0x7800
const MASK_RCODE = 0x000f
/** RFC 2181 8: a TTL with the top bit set is zero. */
const MAX_TTL_SECONDS = 0x7fffffff

/** The question as a message; with EDNS it says that answers over 512 bytes are welcome (RFC 6891). */
export function encodeQuestion(question: Question, hasEdns: boolean): Buffer {
  const { id, name, type } = question
  return dnsPacket.encode({
    type: 'query',
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type, class: 'IN' }],
    additionals: hasEdns
      ? [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: UDP_PAYLOAD_BYTES,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  })
}

/** Reads received bytes as the answer to `question`, and to nothing else. */
export function readAnswer(bytes: Buffer, question: Question): Reading {
  if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(0) !== question.id) return 'foreign'
  const flags = bytes.readUInt16BE(2)
  if ((flags & FLAG_RESPONSE) === 0 || (flags & MASK_OPCODE) !== 0) return 'foreign'

  const packet = decode(bytes)
  if (packet === null) {
    // The id fits, so this is the server's own answer. Cut off it is still good for what the header says.
    if ((flags & FLAG_TRUNCATED) !== 0) return truncated(flags & MASK_RCODE)
    return 'malformed'
  }
  if (!answersQuestion(packet, question, flags & MASK_RCODE)) return 'foreign'

  const edns = packet.additionals?.find((record) => record.type === 'OPT')
  return {
    isTruncated: (flags & FLAG_TRUNCATED) !== 0,
    rcode: (flags & MASK_RCODE) | ((edns?.type === 'OPT' ? edns.extendedRcode : 0) << 4),
    answers: readRecords(packet.answers),
    additionals: readRecords(packet.additionals),
    hasAuthority: packet.authorities?.some((record) => record.type === 'SOA') ?? false,
  }
}

function decode(bytes: Buffer): dnsPacket.DecodedPacket | null {
  try {
    const packet = dnsPacket.decode(bytes)
    // The decoder reads addresses beyond the end of the message without complaint.
    if (dnsPacket.decode.bytes > bytes.length) return null
    const sections = [packet.answers, packet.additionals]
    return sections.every((records) => records?.every(hasSoundAddress) ?? true) ? packet : null
  } catch {
    // The caller calls it malformed, or takes the header of one that was cut off.
    return null
  }
}

function hasSoundAddress(record: dnsPacket.Answer): boolean {
  if (record.type === 'A') return isIPv4(record.data)
  return record.type !== 'AAAA' || isIPv6(record.data)
}

function truncated(rcode: number): Answer {
  return { isTruncated: true, rcode, answers: [], additionals: [], hasAuthority: false }
}

function answersQuestion(packet: dnsPacket.DecodedPacket, question: Question, rcode: number): boolean {
  const questions = packet.questions ?? []
  // Servers that could not read the question answer with the bare header (RFC 6891 7).
  if (questions.length === 0) return rcode === RCODE.formatError || rcode === RCODE.notImplemented
  const [asked] = questions
  return (
    questions.length === 1 &&
    asked!.type === question.type &&
    asked!.class === 'IN' &&
    comparableName(asked!.name) === comparableName(question.name)
  )
}

function readRecords(records: readonly dnsPacket.Answer[] | undefined): DnsRecord[] {
  const read: DnsRecord[] = []
  for (const record of records ?? []) {
    if (record.type === 'OPT' || record.class !== 'IN') continue
    const ttl = record.ttl ?? 0
    const head = { name: comparableName(record.name), ttlSeconds: ttl > MAX_TTL_SECONDS ? 0 : ttl }
    if (record.type === 'A' || record.type === 'AAAA') {
      read.push({ ...head, type: record.type, ip: record.data })
    } else if (record.type === 'CNAME') {
      read.push({ ...head, type: 'CNAME', target: comparableName(record.data) })
    } else if (record.type === 'SRV') {
      const { target, port, weight = 0, priority = 0 } = record.data
      read.push({ ...head, type: 'SRV', target: comparableName(target), port, weight, priority })
    }
  }
  return read
}
