/** gRPC over HTTP/2, Status-Message: all but printable ASCII, and the percent sign, as bytes of UTF-8 in hexadecimal. */
export function encodeGrpcMessage(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message
  let text = ''
  for (const byte of Buffer.from(message))
    text +=
      byte >= 32 && byte < 127 && byte !== 37
        ? String.fromCharCode(byte)
        : '%' + byte.toString(16).toUpperCase().padStart(2, '0')
  return text
}
