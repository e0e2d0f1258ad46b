/** What an endpoint is: a path, its methods, and what the OpenAPI document says about it. */
import type { Origin } from '#store/contract.ts'
import type { Answer } from './answer.ts'
import type { Body } from './body.ts'
import type { Query } from './query.ts'
import type { Role } from './tokens.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** A request that passed guard, authentication and routing. */
export interface AdminRequest {
  readonly id: string
  /** As routed: HEAD comes as GET. */
  readonly method: Method
  /** Parameters of the path, percent-decoded. */
  readonly parameters: Readonly<Record<string, string>>
  /** The same, as they were sent: `next` links repeat them. */
  readonly rawParameters: Readonly<Record<string, string>>
  readonly query: Query
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: Body
  /** Id of the workspace that the request is about. */
  readonly workspace: string
  readonly origin: Origin
  readonly role: Role
  /** Unix ms at which it came. */
  readonly atMs: number
}

export type Handler = (request: AdminRequest) => Answer | Promise<Answer>

/** One method of an endpoint, as code and as documentation. */
export interface Operation {
  readonly handler: Handler
  /** One sentence for the OpenAPI document. */
  readonly about: string
  /** The least role that may call it. */
  readonly role: Role
  readonly query?: readonly QueryParameter[]
  /** What the body is, when the method takes one. */
  readonly body?: BodyShape
  /** The answers besides the errors that every endpoint can give. */
  readonly answers: Readonly<Record<number, AnswerShape>>
}

export interface QueryParameter {
  readonly name: string
  readonly about: string
  readonly schema: Readonly<Record<string, unknown>>
  readonly required?: boolean
}

/** Bodies and answers are named by kind where they are entities, so that the document is derived from the definitions. */
export type BodyShape =
  | { readonly entity: string; readonly partial?: boolean; readonly required?: boolean }
  | { readonly schema: Readonly<Record<string, unknown>>; readonly required?: boolean; readonly takesYaml?: boolean }
export type AnswerShape =
  | { readonly entity: string }
  | { readonly page: string }
  | { readonly schema: Readonly<Record<string, unknown>> }
  | { readonly text: string }
  | 'message'
  | 'error'
  | 'empty'

export interface Endpoint {
  /** `/services/{services}/routes`. */
  readonly path: string
  readonly methods: Partial<Readonly<Record<Method, Operation>>>
  /** Also takes YAML bodies. */
  readonly takesYaml?: boolean
  /** `/{workspace}/...` reaches it too. */
  readonly isInWorkspace?: boolean
}

/** What `Allow` lists: sorted, with HEAD for GET, and OPTIONS. */
export function allowedMethods(endpoint: Endpoint): readonly string[] {
  const methods = Object.keys(endpoint.methods)
  return [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort()
}
