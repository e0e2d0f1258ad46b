/** Appends the log record of each exchange to a file, a line each, as Kong's file-log does. */
import { definePlugin, type Exchange, type LineFile, type LogRecord } from '#pdk'
import { logRecords } from '#pdk/log-record.ts'
import { schema } from './schema.ts'

interface State {
  readonly record: (exchange: Exchange) => LogRecord
  readonly file: LineFile
}

export const fileLog = definePlugin({
  schema,

  prepare(config, { delivery }): State {
    return { record: logRecords(config.custom_fields, delivery), file: delivery.openFile(config.path, config.reopen) }
  },

  log: logExchange,
  sessionLog: logExchange,

  close({ file }) {
    file.close()
  },
})

function logExchange(exchange: Exchange, { record, file }: State): void {
  file.write(`${JSON.stringify(record(exchange))}\n`)
}
