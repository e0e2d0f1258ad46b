/** `/config`: the whole configuration of a gateway without a database, loaded and shown as one declarative file. */
import type { Operation as Change, StateReader } from '#store/contract.ts'
import type { CheckContext } from '#model/contract.ts'
import type { Problem } from '#model/declarative/problems.ts'
import { type Refusal, STATUS_OF_CODE } from '#model/refusal.ts'
import { type Answer, answerJson, answerMessage, withHeaders } from './answer.ts'
import { hashConfiguration } from './configuration-hash.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'
import { inputOf } from './entity-input.ts'
import { readAnswer } from './entity-handlers.ts'
import { type AdminPorts, everyRow, presentFor } from './ports.ts'
import { commit, type Plan } from './write.ts'

/** A declarative configuration as it was sent: YAML or JSON text, or JSON that is parsed already. */
export type DeclarativeSource = { readonly text: string } | { readonly value: unknown }

export interface DeclarativeOptions {
  readonly check: CheckContext
  /** Also lists the errors by entity (`flatten_errors`). */
  readonly flattensErrors: boolean
  /** Name of the file, for messages. */
  readonly file?: string
}

export type DeclarativeResult =
  | { readonly ok: true; readonly operations: readonly Change[] }
  /** Every problem, with its place in the file, and Kong's answer. */
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly refusal: Refusal }

/** Reads declarative configurations and writes them. */
export interface Declarative {
  /** What turns the state into the configuration, as one transaction. */
  load(source: DeclarativeSource, state: StateReader, options: DeclarativeOptions): Promise<DeclarativeResult>
  /** The state as a YAML file of format 3.0. */
  dump(state: StateReader): Promise<string>
}

export function configEndpoints(ports: AdminPorts): Endpoint[] {
  return [
    {
      path: '/config',
      takesYaml: true,
      methods: {
        GET: {
          handler: () => get(ports),
          about: 'The configuration as a declarative file.',
          role: 'editor',
          answers: {
            200: { schema: { type: 'object', required: ['config'], properties: { config: { type: 'string' } } } },
            400: 'message',
          },
        },
        POST: {
          handler: (request) => post(ports, request),
          about: 'Replaces the configuration by a declarative one.',
          role: 'editor',
          query: [
            {
              name: 'check_hash',
              about: '`1`: answers 304 when the configuration is the one that is loaded.',
              schema: { type: 'string' },
            },
            {
              name: 'flatten_errors',
              about: '`1`, `true`, `on`, `yes`: lists errors by entity.',
              schema: { type: 'string' },
            },
          ],
          body: { schema: { type: 'object' }, takesYaml: true },
          answers: { 201: { schema: { type: 'object' } }, 304: 'empty', 400: 'error', 413: 'message', 415: 'message' },
        },
      },
    },
  ]
}

const ONLY_WITHOUT_DATABASE = answerMessage(
  400,
  'this endpoint is only available when Kong is configured to not use a database',
)

async function get(ports: AdminPorts): Promise<Answer> {
  if (ports.isDatabase) return ONLY_WITHOUT_DATABASE
  return await readAnswer(ports, async (state) => answerJson(200, { config: await ports.declarative.dump(state) }))
}

async function post(ports: AdminPorts, request: AdminRequest): Promise<Answer> {
  if (ports.isDatabase) return ONLY_WITHOUT_DATABASE
  const source = sourceOf(ports, request)
  if (source === null) return answerMessage(400, 'expected a declarative configuration')
  const hash = hashConfiguration('text' in source ? source.text : JSON.stringify(source.value))
  if (isOn(request.query.one('check_hash')) && hash === ports.configurationHash.current())
    return { status: 304, body: null }
  const options = { check: ports.check(request.atMs), flattensErrors: isOn(request.query.one('flatten_errors')) }
  const plan: Plan = async (state) => {
    const result = await ports.declarative.load(source, state, options)
    if (!result.ok) return { ok: false, answer: answerJson(STATUS_OF_CODE[result.refusal.code] ?? 400, result.refusal) }
    return { ok: true, operations: result.operations, answer: { status: 201, body: null } }
  }
  const answer = await commit(ports, request, plan, null, { via: 'declarative' })
  if (answer.status !== 201) return answer
  ports.configurationHash.set(hash)
  return withHeaders(answerJson(201, await entitiesById(ports, request)), answer.headers ?? {})
}

/** What Kong answers: every entity that is there now, by kind and id. */
async function entitiesById(
  ports: AdminPorts,
  request: AdminRequest,
): Promise<Record<string, Record<string, unknown>>> {
  const entities: Record<string, Record<string, unknown>> = {}
  for (const { kind, db_export: isExported } of ports.model.entities.values()) {
    if (isExported === false) continue
    for await (const { document } of everyRow(ports.store, kind, {})) {
      ;(entities[kind] ??= {})[document.id] = presentFor(ports, request, kind, document)
    }
  }
  return entities
}

const FORM = {
  kind: 'config',
  about: 'The form of a declarative configuration.',
  fields: { config: { type: 'string' } },
} as const

function sourceOf({ model }: AdminPorts, { body }: AdminRequest): DeclarativeSource | null {
  if (body.type === 'none') return null
  if (body.type === 'text') return body.text.trim() === '' ? null : { text: body.text }
  const input = inputOf(model, FORM, body)
  if (typeof input['config'] === 'string') return { text: input['config'] }
  return body.type === 'form' ? null : { value: input }
}

function isOn(value: string | null | undefined): boolean {
  return value === '1' || value === 'true' || value === 'on' || value === 'yes'
}
