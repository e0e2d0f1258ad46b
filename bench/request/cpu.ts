/** CPU time per proxied request, of the whole process tree, next to nginx's on the same work. */
import { figure, type Bench, type Figure, type Programs } from '../support/bench.ts'
import { treeCpuSeconds } from '../support/cpu-time.ts'
import { runOneRequestPerConnection } from '../support/h2load.ts'
import { createCertificate, startReference, type Subject } from '../support/subjects.ts'
import { runWrk } from '../support/wrk.ts'
import { declarativeFor, type Work } from './works.ts'

const CONNECTIONS = 64
/** Starts what is measured with the gateway's configuration for a work. */
export type StartSubject = (declarative: object, work: Work) => Promise<Subject>

interface Round {
  readonly micros: number
  readonly perSecond: number
}

/** Runs both by turns, so that what else the machine does hits both alike, and compares the least of each. */
export async function measureCpu(
  bench: Bench,
  work: Work,
  backendPort: number,
  start: StartSubject,
): Promise<Figure[]> {
  const { programs, rounds } = bench
  const certificate = await createCertificate()
  const reference = await startReference(programs.nginx, backendPort, {
    certificate,
    ...(work.servers && { servers: work.servers }),
    ...(work.reference && { http: work.reference }),
  })
  try {
    const subject = await start(declarativeFor(work, backendPort, certificate), work)
    try {
      // Two rounds warm up, until the compiler has settled; nginx has nothing to compile.
      await measureRound(programs, work, subject, 2 * work.requests)
      await measureRound(programs, work, reference, work.requests >> 2)
      const ofSubject: Round[] = []
      const ofReference: Round[] = []
      for (let round = 0; round < rounds; round++) {
        ofReference.push(await measureRound(programs, work, reference, work.requests))
        ofSubject.push(await measureRound(programs, work, subject, work.requests))
      }
      const ours = least(ofSubject)
      const theirs = least(ofReference)
      const figures = {
        'us each': ours.micros,
        'nginx us each': theirs.micros,
        'requests /s': Math.round(ours.perSecond),
        rounds: ofSubject.map(({ micros }) => micros),
        'nginx rounds': ofReference.map(({ micros }) => micros),
      }
      return [figure(work.id, ours.micros / theirs.micros, figures)]
    } finally {
      await subject.stop()
    }
  } finally {
    await reference.stop()
  }
}

function least(rounds: readonly Round[]): Round {
  return rounds.reduce((best, round) => (round.micros < best.micros ? round : best))
}

/** The processor time of each of so many requests, and how many a second there were. */
export async function measureRound(programs: Programs, work: Work, subject: Subject, requests: number): Promise<Round> {
  const url = work.isTls ? `https://localhost:${subject.tlsPort}` : `http://127.0.0.1:${subject.port}`
  const before = treeCpuSeconds(subject.pid)
  const started = performance.now()
  let after = before
  let seconds: number
  if (work.isTls && work.isConnectionEach) {
    // wrk would take its TLS session up again.
    await runOneRequestPerConnection(
      programs.h2load,
      { url: `${url}/`, connections: CONNECTIONS, headers: work.request.headers, bodyBytes: work.expectedBody.length },
      requests,
    )
    after = treeCpuSeconds(subject.pid)
    seconds = (performance.now() - started) / 1_000
  } else {
    const headers = { ...work.request.headers, ...(work.isConnectionEach && { Connection: 'close' }) }
    const result = await runWrk(
      programs.wrk,
      {
        url,
        request: { ...work.request, headers },
        expectedBody: work.expectedBody,
        requests,
        connections: CONNECTIONS,
        isGateway: subject.name === 'meridian',
        isStored: work.isStored === true && subject.name === 'meridian',
      },
      () => {
        after = treeCpuSeconds(subject.pid)
      },
    )
    seconds = result.seconds
  }
  return { micros: ((after - before) / requests) * 1e6, perSecond: requests / seconds }
}
