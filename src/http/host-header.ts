/** The parts of a Host header. */
export interface HostParts {
  /** Without port; an IPv6 literal keeps its brackets. */
  readonly host: string
  /** 0 when there is none, or none that is a port. */
  readonly port: number
}

export function splitHost(header: string): HostParts {
  const colon = header.lastIndexOf(':')
  if (colon <= 0 || header.charCodeAt(header.length - 1) === 93 || header.indexOf(']') > colon)
    return { host: header, port: 0 }
  const digits = header.slice(colon + 1)
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0
  return { host: header.slice(0, colon), port: port < 65536 ? port : 0 }
}

/** Remembers the parts of the last header: requests of one connection nearly always name the same host. */
export class HostMemory {
  #header = ''
  #parts: HostParts = { host: '', port: 0 }

  of(header: string): HostParts {
    if (this.#header !== header) {
      this.#header = header
      this.#parts = splitHost(header)
    }
    return this.#parts
  }
}
