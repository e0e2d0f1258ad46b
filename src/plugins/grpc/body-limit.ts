/** Bytes of a message that is translated, in either direction: what gRPC's own libraries receive by default. */
export const MESSAGE_LIMIT_BYTES = 4 << 20
