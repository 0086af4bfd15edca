/** What the reply subject of a message of JetStream says of it. */
export interface AckFacts {
  /** 1 the first time. */
  readonly delivered: number;
  readonly streamSequence: number;
  readonly consumerSequence: number;
}

/** `$JS.ACK.<stream>.<consumer>.<delivered>.<…>`; newer servers have a domain and an account before the stream. */
export function readAck(reply: string | undefined): AckFacts | undefined {
  const tokens = reply?.split('.') ?? [];
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined;
  const at = tokens.length === 9 ? 4 : 6;
  const [delivered, streamSequence, consumerSequence] = tokens.slice(at, at + 3).map(Number);
  return { delivered: delivered ?? 1, streamSequence: streamSequence ?? 0, consumerSequence: consumerSequence ?? 0 };
}
