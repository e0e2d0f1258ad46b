/** Why an ACME server did not do what it was asked for. */
export class AcmeFailure extends Error {
  /** The last part of the server's `urn:ietf:params:acme:error:` (RFC 8555 6.7); null where it gave none, or did not answer. */
  readonly type: string | null
  /** `refused`: it answered, and will again. `failed`: it can't be asked. */
  readonly outcome: 'refused' | 'failed'

  constructor(outcome: 'refused' | 'failed', message: string, type: string | null = null) {
    super(message)
    this.outcome = outcome
    this.type = type
  }
}
