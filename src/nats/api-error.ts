/** An answer of JetStream that says what is wrong. */
export class ApiError extends Error {
  /** As HTTP has it. */
  readonly status: number;
  /** The number of the problem (`err_code`); 0 where there is none. */
  readonly problem: number;

  constructor(status: number, problem: number, description: string) {
    super(description);
    this.name = 'ApiError';
    this.status = status;
    this.problem = problem;
  }
}

// Numbers of problems that are looked for. See server/errors.json of nats-server.
export const WRONG_LAST_SEQUENCE = 10_071;
export const NO_MESSAGE = 10_037;
export const NO_STREAM = 10_059;
export const NO_CONSUMER = 10_014;
/** A stream of the name is there, with other properties. */
export const NAME_IN_USE = 10_058;
/** Another stream has the subjects. */
export const OVERLAP = 10_065;

const NO_JETSTREAM = new Set([10_039, 10_076, 10_108]);
const FULL = new Set([10_002, 10_023, 10_028, 10_047, 10_077, 10_122, 10_083]);

export function isWithoutJetStream({ problem }: ApiError): boolean {
  return NO_JETSTREAM.has(problem);
}

/** The stream, the account or the disk has no room left. */
export function isFull({ problem, message }: ApiError): boolean {
  return FULL.has(problem) || /maximum (bytes|messages)|insufficient|no space/i.test(message);
}

/** There is no leader for now, or the servers are too slow. */
export function isUnanswered({ status }: ApiError): boolean {
  return status === 503 || status === 408;
}
