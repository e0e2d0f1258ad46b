import type { Socket } from 'node:net'
import { chunkHead } from './chunked.ts'
import { writeBoth } from './write.ts'

const CRLF = '\r\n'

/** Writes one chunk of the chunked coding. Answers what `socket.write` does. */
export function writeChunk(socket: Socket, bytes: Buffer): boolean {
  socket.cork()
  writeBoth(socket, chunkHead(bytes.length), bytes)
  const isFlowing = socket.write(CRLF, 'latin1')
  socket.uncork()
  return isFlowing
}
