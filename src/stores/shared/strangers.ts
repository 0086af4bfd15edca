/** Of TLS on one side only, or of a certificate that is not trusted. */
const TLS = /wrong version number|error establishing an SSL|does not support SSL|self.signed|certificate|ERR_TLS|ERR_SSL|EPROTO|tls handshake|SSL routines/i;
/** What drivers say of an answer that is none of their protocol. */
const OTHERWISE = /Unknown RESP type|Protocol error, got|invalid response: |unexpected response from server|unexpected message type/i;

/**
 * Whether somebody answers there who cannot be talked to: `tls` for want of a common way to encrypt, `protocol` for a server
 * of another kind.
 */
export function strangeness(error: unknown): 'tls' | 'protocol' | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const text = `${code} ${error.message}`;
  if (TLS.test(text)) return 'tls';
  return OTHERWISE.test(text) ? 'protocol' : undefined;
}

/** Hides the password of an address before it gets into a message. */
export function hidePassword(address: unknown): unknown {
  return typeof address === 'string' ? address.replace(/:[^:@/]*@/, ':…@') : address;
}
