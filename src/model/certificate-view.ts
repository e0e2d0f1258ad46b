/** A certificate that the plugin acme got, in the words of Kong's `/acme/certificates`. */
export interface CertificateView {
  readonly digest: string
  readonly host: string
  readonly issuer_cn: string | null
  readonly not_before: string
  readonly not_after: string
  readonly valid: boolean
  readonly serial_number: string
  readonly pubkey_type: string
}
