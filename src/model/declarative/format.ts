/** The head of a declarative file: its version and what else stands beside the entities. */
import type { Field, Fields } from '../field.ts'
import { isRecord, own, type Errors, type Values } from '../record.ts'
import { MESSAGES } from '../messages.ts'
import { validateField } from '../validate.ts'

export const FORMAT_VERSIONS = ['1.1', '2.1', '3.0'] as const
export type FormatVersion = (typeof FORMAT_VERSIONS)[number]

const ANYTHING: Field = { type: 'json' }

/** Beside the lists of entities. `_info`, `_workspace` and `_plugin_configs` come from the tools that write such files. */
const HEAD: Fields = {
  _format_version: { type: 'string', required: true, one_of: FORMAT_VERSIONS },
  _transform: { type: 'boolean' },
  _comment: { type: 'string' },
  _ignore: { type: 'array', elements: ANYTHING },
  _info: ANYTHING,
  _workspace: { type: 'string' },
  _plugin_configs: { type: 'map', keys: { type: 'string' }, values: ANYTHING },
}

export interface Head {
  readonly version: FormatVersion
  /** Whether passwords are given as they are typed, and hashed now. */
  readonly transforms: boolean
  /** Name of the workspace of all entities of the file; null for the default one. */
  readonly workspace: string | null
  readonly pluginConfigs: Readonly<Values>
}

/** What is wrong with the head is added to `errors`; the head is then made from what is right. */
export function readHead(root: Readonly<Values>, errors: Errors): Head {
  for (const [name, field] of Object.entries(HEAD)) {
    const value = own(root, name)
    const isMissing = value === undefined || value === null
    const error = isMissing ? (field.required === true ? MESSAGES.required : null) : validateField(field, value)
    if (error !== null) errors[name] = error
  }
  const { _format_version: version, _transform: transform, _workspace: workspace, _plugin_configs: configs } = root
  return {
    version: FORMAT_VERSIONS.find((known) => known === version) ?? '3.0',
    transforms: transform !== false,
    workspace: typeof workspace === 'string' && workspace !== 'default' ? workspace : null,
    pluginConfigs: isRecord(configs) ? configs : {},
  }
}

export function isHeadField(name: string): boolean {
  return Object.hasOwn(HEAD, name)
}

/** Notes that may stand at any level and mean nothing. */
export function isNote(name: string): boolean {
  return name === '_comment' || name === '_ignore'
}
