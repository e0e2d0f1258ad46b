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

  logsSessions: true,
  log(exchange, { record, file }) {
    file.write(`${JSON.stringify(record(exchange))}\n`)
  },

  close({ file }) {
    file.close()
  },
})
