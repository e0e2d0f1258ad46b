/** multipart/form-data, parsed from a body that is already within its size limit. */
import type { IncomingHttpHeaders } from 'node:http'
import busboy from 'busboy'
import { type FormEntry, FORM_ENTRIES_MAX } from './form.ts'

export type MultipartResult =
  | { readonly ok: true; readonly entries: readonly FormEntry[] }
  | { readonly ok: false; readonly message: string }

/** Parts become text; a part with Content-Type application/json becomes its value; an uploaded file is its content. */
export function parseMultipart(headers: IncomingHttpHeaders, bytes: Buffer): Promise<MultipartResult> {
  return new Promise((resolve) => {
    const entries: FormEntry[] = []
    const fail = (message: string) => resolve({ ok: false, message })
    let parser: busboy.Busboy
    try {
      parser = busboy({
        headers,
        defParamCharset: 'utf8',
        limits: {
          parts: FORM_ENTRIES_MAX,
          fieldNameSize: 1000,
          fieldSize: bytes.length + 1,
          fileSize: bytes.length + 1,
          headerPairs: 100,
        },
      })
    } catch (error) {
      // The only thing that it throws for: the header names no boundary.
      return fail(error instanceof Error ? error.message : 'malformed Content-Type')
    }
    parser.on('field', (name, text, info) => {
      if (info.nameTruncated) return fail('a part has a name longer than 1000 bytes')
      const entry = entryOf(name, text, info.mimeType)
      if (entry === null) return fail(`part '${name}': Content-Type is application/json, but it is not JSON`)
      entries.push(entry)
    })
    parser.on('file', (name, stream, info) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const entry = entryOf(name, Buffer.concat(chunks).toString('utf8'), info.mimeType)
        if (entry === null) return fail(`part '${name}': Content-Type is application/json, but it is not JSON`)
        entries.push(entry)
      })
    })
    parser.on('partsLimit', () => fail(`expected at most ${FORM_ENTRIES_MAX} parts`))
    parser.on('error', (error: unknown) => fail(error instanceof Error ? error.message : 'malformed body'))
    parser.on('close', () => resolve({ ok: true, entries }))
    parser.end(bytes)
  })
}

function entryOf(name: string, text: string, mimeType: string): FormEntry | null {
  if (mimeType !== 'application/json') return { name, value: { text } }
  try {
    return { name, value: { json: JSON.parse(text) as unknown } }
  } catch {
    // The caller refuses the whole form.
    return null
  }
}
