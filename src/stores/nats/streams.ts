import { ApiError, NAME_IN_USE, NatsStoreError, NO_MESSAGE, NO_STREAM } from './errors.js';
import type { Link } from './link.js';
import type { Settings } from './options.js';

/** Bumped when the form of what is stored changes. */
const FORM = 1;
const OLDEST_SERVER = [2, 9] as const;

export interface StreamInfo {
  readonly created: string;
  readonly config: StreamConfig;
  readonly state: { readonly messages: number; readonly first_seq: number; readonly last_seq: number; readonly subjects?: Readonly<Record<string, number>> };
}

interface StreamConfig {
  readonly name: string;
  readonly description?: string;
  readonly subjects?: readonly string[];
  readonly max_msgs_per_subject?: number;
  readonly max_age?: number;
}

/** Names of all there is of one store. */
export interface Names {
  readonly jobs: string;
  /** What subjects of jobs begin with; the key follows. */
  readonly jobSubject: string;
  readonly leases: string;
  readonly leaseSubject: string;
  readonly ledger: string;
  readonly ledgerSubject: string;
  /** Subjects of notices among the nodes. */
  readonly notices: string;
}

export function namesOf(bucket: string): Names {
  return {
    jobs: `KV_${bucket}`,
    jobSubject: `$KV.${bucket}.`,
    leases: `KV_${bucket}_leases`,
    leaseSubject: `$KV.${bucket}_leases.`,
    ledger: `${bucket}_ledger`,
    ledgerSubject: `punctual.${bucket}.ledger.`,
    notices: `punctual.${bucket}.notices`,
  };
}

/** Makes what is not there yet, and looks whether what is there is ours. @throws NatsStoreError */
export async function prepareStreams(link: Link, names: Names, { replicas, maxBytes, perJob, maxAgeMs }: Settings): Promise<void> {
  requireServer(link);
  await requireJetStream(link);
  // The form of a KV bucket, so that any tool for those shows and repairs what is in it.
  const bucket = {
    num_replicas: replicas,
    storage: 'file',
    retention: 'limits',
    max_msgs_per_subject: 1,
    discard: 'new',
    deny_delete: false,
    allow_rollup_hdrs: true,
    // Answers shall come from the leader alone.
    allow_direct: false,
  };
  await prepare(link, { ...bucket, name: names.jobs, subjects: [`${names.jobSubject}>`], description: describe('jobs'), ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }) });
  const leases = await prepare(link, { ...bucket, name: names.leases, subjects: [`${names.leaseSubject}>`], description: describe('leases'), max_age: LEASES_MS * 1e6 });
  if ((leases.max_age ?? 0) !== LEASES_MS * 1e6) await link.api(`STREAM.UPDATE.${names.leases}`, { ...leases, max_age: LEASES_MS * 1e6 });
  if (perJob === 0) return;
  const limits = { max_msgs_per_subject: perJob, max_age: maxAgeMs === null ? 0 : maxAgeMs * 1e6 };
  const ledger = {
    num_replicas: replicas,
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    duplicate_window: Math.min(DUPLICATES_MS, maxAgeMs ?? DUPLICATES_MS) * 1e6,
    ...limits,
    name: names.ledger,
    subjects: [`${names.ledgerSubject}*`],
    description: describe('ledger'),
  };
  const found = await prepare(link, ledger);
  if (found.max_msgs_per_subject !== limits.max_msgs_per_subject || (found.max_age ?? 0) !== limits.max_age) {
    await link.api(`STREAM.UPDATE.${names.ledger}`, { ...found, ...limits, duplicate_window: ledger.duplicate_window });
  }
}

/** How long a lease stays that nobody renews or takes. None lasts longer than a week without being renewed. */
const LEASES_MS = 30 * 86_400_000;
/** How long the server knows ids of messages that it has. */
export const DUPLICATES_MS = 120_000;

const describe = (what: string): string => `punctual ${what}, form ${FORM}`;

function requireServer(link: Link): void {
  const version = link.info?.version ?? '';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST_SERVER[0] || (major === OLDEST_SERVER[0] && minor < OLDEST_SERVER[1])) {
    throw new NatsStoreError('old-server', `NatsJobStore needs NATS 2.9 or later, and the server is ${version === '' ? 'unknown' : version}. Bring it up to date.`);
  }
}

async function requireJetStream(link: Link): Promise<void> {
  try {
    await link.api('INFO');
  } catch (error) {
    const isSilent = error instanceof NatsStoreError && error.reason === 'unreachable' && link.info?.jetstream !== true;
    if (!isSilent) throw error;
    throw new NatsStoreError('no-jetstream', 'JetStream is not on. Start the server with -js (or a jetstream block in its configuration), and give the account JetStream.', { cause: error });
  }
}

async function prepare(link: Link, config: { readonly name: string; readonly description: string; readonly subjects: readonly string[]; readonly max_age?: number }): Promise<StreamConfig> {
  const info = (await findStream(link, config.name)) ?? (await create(link, config));
  const { description = '', subjects = [] } = info.config;
  const [, form] = /^punctual \w+, form (\d+)$/.exec(description) ?? [];
  if (form === undefined || subjects.join() !== config.subjects.join()) {
    throw new NatsStoreError('foreign-stream', `The stream ${config.name} is not punctual’s. Give another \`bucket\`.`);
  }
  if (Number(form) > FORM) {
    throw new NatsStoreError('newer-version', `The stream ${config.name} was written by a later release of punctual (form ${form}; this one knows ${FORM}). Bring this program up to date.`);
  }
  return info.config;
}

export async function findStream(link: Link, name: string): Promise<StreamInfo | undefined> {
  try {
    return await link.api<StreamInfo>(`STREAM.INFO.${name}`);
  } catch (error) {
    if (problemOf(error) === NO_STREAM) return undefined;
    throw error;
  }
}

async function create(link: Link, config: { readonly name: string }): Promise<StreamInfo> {
  try {
    return await link.api<StreamInfo>(`STREAM.CREATE.${config.name}`, config);
  } catch (error) {
    // Somebody else made it at the same time, with another limit maybe.
    const found = problemOf(error) === NAME_IN_USE ? await findStream(link, config.name) : undefined;
    if (found === undefined) throw error;
    return found;
  }
}

/** The number of the problem that JetStream had. */
export function problemOf(error: unknown): number | undefined {
  if (error instanceof ApiError) return error.problem;
  return error instanceof Error && error.cause instanceof ApiError ? error.cause.problem : undefined;
}

/** A stored message. */
export interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  readonly data: string;
  readonly headers: string;
  readonly time: string;
}

interface MessageAnswer {
  readonly message: { readonly subject: string; readonly seq: number; readonly data?: string; readonly hdrs?: string; readonly time: string };
}

/** Asks the leader of the stream, which alone is sure to have what was written last. */
export async function readMessage(link: Link, stream: string, which: { last_by_subj: string } | { seq: number }): Promise<StoredMessage | undefined> {
  try {
    const { message } = await link.api<MessageAnswer>(`STREAM.MSG.GET.${stream}`, which);
    const { subject, seq, data = '', hdrs = '', time } = message;
    return { subject, seq, data: Buffer.from(data, 'base64').toString(), headers: Buffer.from(hdrs, 'base64').toString(), time };
  } catch (error) {
    if (problemOf(error) === NO_MESSAGE) return undefined;
    throw error;
  }
}

/** A field of headers as they were stored. */
export function headerOf(headers: string, name: string): string | undefined {
  const start = headers.indexOf(`\r\n${name}: `);
  if (start < 0) return undefined;
  const from = start + name.length + 4;
  return headers.slice(from, headers.indexOf('\r\n', from));
}
