/** What a command is, and what it gets: everything of the outside world comes in by `CliContext`, so that tests can stand in for it. */
import type { Settings } from '#model/settings.ts'
import type { ReadSettings } from '#model/settings/read.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { CassandraDriver } from '#store/cassandra/driver.ts'
import type { GatewayLog } from '#telemetry/logger.ts'

export interface Output {
  write(text: string): unknown
}

/** A gateway that was started in this process. */
export interface RunningNode {
  readonly log: GatewayLog
  /** Of the proxy, with their real ports. */
  readonly listeners: readonly Listener[]
  /** Drains and ends everything. `now` skips the time in which load balancers turn away. */
  stop(options: { readonly now: boolean }): Promise<void>
  /** Takes over what `changed` names, all of it reloadable settings; certificates and files are read anew in any case. */
  reload(read: ReadSettings, changed: readonly string[]): Promise<void>
  reopenLogs(): void
}

/** What a check of a declarative file found. */
export type DeclarativeVerdict =
  /** Number of entities by kind. */
  | { readonly ok: true; readonly counts: Readonly<Record<string, number>> }
  /** Every problem, each with its line and path where it has one. */
  | { readonly ok: false; readonly problems: readonly string[] }

export interface CliContext {
  readonly stdout: Output
  readonly stderr: Output
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Absolute. */
  readonly workingFolder: string
  readonly cores: number
  readonly version: string
  readonly run: (read: ReadSettings) => Promise<RunningNode>
  readonly checkDeclarative: (
    read: ReadSettings,
    file: { readonly path: string; readonly text: string },
  ) => Promise<DeclarativeVerdict>
  /** Begins to connect to the cluster of the settings. */
  readonly openCassandra: (settings: Settings) => Promise<CassandraDriver>
}

export interface CommandOption {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  readonly multiple?: boolean
  /** What stands for the value in the help. */
  readonly value?: string
  readonly about: string
}

export type OptionValues = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>

export interface Command {
  /** One or two words: `stop`, `config validate`. */
  readonly name: string
  readonly about: string
  /** Positional arguments as the help shows them: `FILE`, `[REVISION]`. */
  readonly positionals: readonly string[]
  readonly options: Readonly<Record<string, CommandOption>>
  /** Answers the exit code; throws `GatewayError` for what `fail.ts` explains. */
  run(context: CliContext, options: OptionValues, positionals: readonly string[]): Promise<number>
}

/** Options of every command that reads the settings. */
export const settingsOptions = {
  conf: {
    type: 'string',
    short: 'c',
    value: 'FILE',
    about: 'Settings file; by default MERIDIAN_CONF, else meridian.conf in the working folder if there is one.',
  },
  prefix: { type: 'string', short: 'p', value: 'FOLDER', about: 'Prefix folder, instead of the setting.' },
} as const satisfies Readonly<Record<string, CommandOption>>

/** Options of every command that asks the Admin API. */
export const adminOptions = {
  ...settingsOptions,
  admin: {
    type: 'string',
    value: 'URL',
    about:
      'Admin API; by default MERIDIAN_ADMIN_URL, else where the settings say that it listens. A token is taken from MERIDIAN_ADMIN_TOKEN.',
  },
} as const satisfies Readonly<Record<string, CommandOption>>

export const jsonOption = {
  json: { type: 'boolean', about: 'Print JSON, for scripts.' },
} as const satisfies Readonly<Record<string, CommandOption>>

export function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

export function printJson(context: CliContext, value: unknown): void {
  context.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** Columns as wide as their widest cell. */
export function printTable(context: CliContext, rows: readonly (readonly string[])[]): void {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, at) => Math.max(all[at] ?? 0, cell.length)), [])
  for (const row of rows) {
    const line = row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  ')
    context.stdout.write(`${line.trimEnd()}\n`)
  }
}
