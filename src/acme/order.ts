/** One certificate from order to download (RFC 8555 7.4): the name is proved by a challenge, and the request handed in. */
import { setTimeout as delay } from 'node:timers/promises'
import { CHALLENGE_TOKEN, type ChallengeType } from '#pdk/acme-challenges.ts'
import { problemText, type AcmeClient, type Replied } from './acme-client.ts'
import { commonNameOfIssuer } from './certificate-facts.ts'
import { AcmeFailure } from './failure.ts'

export interface OrderOptions {
  readonly client: AcmeClient
  readonly name: string
  readonly challenge: ChallengeType
  /** DER. */
  readonly csr: Buffer
  /** Common name of the issuer at the end of the chain that is preferred where the authority has several; null for its own choice. */
  readonly preferredChain: string | null
  /** Makes the challenge ready to be asked for on every node. */
  readonly publish: (token: string, keyAuthorization: string) => Promise<void>
  readonly withdraw: (token: string) => Promise<void>
  /** For everything. */
  readonly deadlineMs: number
  readonly nowMs: () => number
}

/** Between two questions whether something is done, where the server does not say how long. */
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5000
/** An authority may offer its chain under other roots, of which there are two or three. */
const ALTERNATIVES_MAX = 8

/** PEM of the certificate and those by which it is signed. Rejects with `AcmeFailure`. */
export async function orderCertificate(options: OrderOptions): Promise<string> {
  const { client, name, csr, nowMs, deadlineMs } = options
  const untilMs = nowMs() + deadlineMs
  const { url, order } = await client.newOrder(name)
  const authorizations = order['authorizations']
  if (!Array.isArray(authorizations)) throw new AcmeFailure('failed', 'the order names no authorizations')
  for (const authorization of authorizations) await prove(options, client.link(authorization), untilMs)
  await waitWhile(options, url, ['pending'], untilMs)
  await client.post(client.link(order['finalize']), { csr: csr.toString('base64url') })
  const done = await waitWhile(options, url, ['pending', 'ready', 'processing'], untilMs)
  if (done.body['status'] !== 'valid') throw refusalOf('the order', done.body)
  return await download(options, client.link(done.body['certificate']))
}

async function prove(options: OrderOptions, url: URL, untilMs: number): Promise<void> {
  const { client, challenge: type, publish, withdraw } = options
  const { body } = await client.read(url)
  // Proved for an order before this one.
  if (body['status'] === 'valid') return
  const offered = Array.isArray(body['challenges']) ? (body['challenges'] as Record<string, unknown>[]) : []
  const challenge = offered.find((each) => each['type'] === type)
  const token = challenge?.['token']
  if (challenge === undefined || typeof token !== 'string' || !CHALLENGE_TOKEN.test(token)) {
    const types = offered.map((each) => String(each['type'])).join(', ')
    throw new AcmeFailure(
      'refused',
      `expected the challenge ${type}, the server offers ${types.slice(0, 200) || 'none'}`,
    )
  }
  try {
    await publish(token, `${token}.${client.key.thumbprint}`)
    await client.post(client.link(challenge['url']), {})
    const { body: judged } = await waitWhile(options, url, ['pending'], untilMs)
    if (judged['status'] !== 'valid') throw refusalOf('the challenge', failedChallenge(judged) ?? judged)
  } finally {
    await withdraw(token)
  }
}

/** Reads until the status is another one. */
async function waitWhile(
  { client, nowMs }: OrderOptions,
  url: URL,
  statuses: readonly string[],
  untilMs: number,
): Promise<Replied> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    const replied = await client.read(url)
    if (!statuses.includes(String(replied.body['status']))) return replied
    const wishedMs = Number(replied.answer.headers['retry-after'] ?? 0) * 1000
    const waitMs = wishedMs > 0 ? Math.min(wishedMs, LONGEST_PAUSE_MS) : pauseMs
    if (nowMs() + waitMs > untilMs) throw new AcmeFailure('failed', `${url.host} did not come to an end in time`)
    await delay(waitMs)
  }
}

function failedChallenge({ challenges }: Replied['body']): Replied['body'] | undefined {
  return Array.isArray(challenges)
    ? (challenges as Replied['body'][]).find(({ status }) => status === 'invalid')
    : undefined
}

function refusalOf(what: string, { status, error }: Replied['body']): AcmeFailure {
  const { text, type } = problemText(error)
  return new AcmeFailure('refused', `${what} is ${String(status)}: ${text}`, type)
}

async function download(options: OrderOptions, url: URL): Promise<string> {
  const { client, preferredChain } = options
  const { answer } = await client.read(url, PEM_TYPE)
  if (preferredChain === null || commonNameOfIssuer(answer.text) === preferredChain) return answer.text
  for (const alternative of alternatives(client, [answer.fields['link'] ?? []].flat())) {
    const other = await client.read(alternative, PEM_TYPE)
    if (commonNameOfIssuer(other.answer.text) === preferredChain) return other.answer.text
  }
  // As Kong: a certificate by another chain is better than none.
  return answer.text
}

const PEM_TYPE = 'application/pem-certificate-chain'

/** RFC 8555 7.4.2: `Link: <URL>;rel="alternate"`. */
function alternatives(client: AcmeClient, links: readonly string[]): URL[] {
  return links
    .flatMap((line) => [...line.matchAll(/<([^>]*)>\s*;[^,]*\brel="?alternate"?/g)])
    .slice(0, ALTERNATIVES_MAX)
    .map(([, target]) => client.link(target))
}
