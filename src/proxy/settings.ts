/** What the request path needs of the settings, decided once. */
export interface ProxySettings {
  /** Headers that Kong's `headers` and `headers_upstream` name. */
  readonly headers: {
    readonly via: boolean
    readonly server: boolean
    readonly proxyLatency: boolean
    readonly upstreamLatency: boolean
    readonly responseLatency: boolean
    readonly upstreamStatus: boolean
    readonly requestId: boolean
    readonly requestIdUpstream: boolean
  }
  /** The port that clients see for a listener's port (`port_maps`). */
  readonly portMaps: ReadonlyMap<number, number>
  /** Bytes of a request's body at most; 0 is no limit. */
  readonly maxBodyBytes: number
  /** Bytes of a chunked body that are collected so that the upstream gets a Content-Length (`request_buffering`). */
  readonly bodyBufferBytes: number
  /** Requests in flight in one worker at most; above, 503 at once. 0 is no limit. */
  readonly maxInFlight: number
  readonly errorDefaultType: string
  readonly allowDebugHeader: boolean
  readonly problemDetails: boolean
  /** The product in Via and Server, `meridian/<version>`. */
  readonly product: string
}
