import { BrokerError } from '../../errors/executor-errors.js';
import { ApiError, NO_CONSUMER, NO_STREAM } from '../../nats/api-error.js';
import type { Link } from './link.js';
import type { LinkSettings, WorkerSettings } from './options.js';

const NS = 1_000_000;
/** How long answers wait for an executor that is not connected. */
const REPLIES_MAX_AGE_MS = 10 * 60_000;
/** Within this, a message of the same id is stored once. */
const DUPLICATES_MS = 2 * 60_000;
const CONSUMER = 'workers';

/** The subjects and streams of one `stream`. */
export class Names {
  readonly runs: string;
  readonly replies: string;
  readonly dead: string;
  readonly control: string;
  readonly consumer = CONSUMER;

  constructor({ stream }: LinkSettings) {
    this.runs = stream;
    this.replies = `${stream}-replies`;
    this.dead = `${stream}-dead`;
    this.control = `${stream}.control`;
  }

  /** The subject of a task's runs, so that a stream or another consumer may tell them apart. */
  run(task: string): string {
    const isPlain = /^[\w-]+(\.[\w-]+)*$/.test(task);
    return `${this.runs}.run.${isPlain ? task : task.replace(/[^\w-]/gu, (char) => `=${char.codePointAt(0)!.toString(16)}`)}`;
  }

  reply(executor: string): string {
    return `${this.runs}.reply.${executor}`;
  }

  get deadLetter(): string {
    return `${this.runs}.dead`;
  }
}

export async function declareRuns(link: Link, names: Names, { declare, replicas }: LinkSettings): Promise<void> {
  await declareStream(link, names.runs, `${names.runs}.run.>`, declare, { retention: 'workqueue', num_replicas: replicas, duplicate_window: DUPLICATES_MS * NS, discard: 'new' });
}

export async function declareReplies(link: Link, names: Names, { declare, replicas }: LinkSettings): Promise<void> {
  await declareStream(link, names.replies, `${names.runs}.reply.>`, declare, { retention: 'limits', num_replicas: replicas, max_age: REPLIES_MAX_AGE_MS * NS });
}

export async function declareDead(link: Link, names: Names, { declare, replicas }: LinkSettings): Promise<void> {
  await declareStream(link, names.dead, names.deadLetter, declare, { retention: 'limits', num_replicas: replicas });
}

export async function declareConsumer(link: Link, names: Names, { declare, ackWaitMs }: WorkerSettings): Promise<void> {
  try {
    await link.api(`CONSUMER.INFO.${names.runs}.${CONSUMER}`);
  } catch (error) {
    if (!(error instanceof ApiError) || error.problem !== NO_CONSUMER || !declare) throw error;
    const config = { durable_name: CONSUMER, ack_policy: 'explicit', deliver_policy: 'all', ack_wait: ackWaitMs * NS, max_deliver: -1, max_ack_pending: -1 };
    await link.api(`CONSUMER.DURABLE.CREATE.${names.runs}.${CONSUMER}`, { stream_name: names.runs, config });
  }
}

async function declareStream(link: Link, name: string, subject: string, declare: boolean, config: object): Promise<void> {
  let found: { readonly config: { readonly subjects?: readonly string[] } };
  try {
    found = await link.api(`STREAM.INFO.${name}`);
  } catch (error) {
    if (!(error instanceof ApiError) || error.problem !== NO_STREAM || !declare) throw error;
    await link.api(`STREAM.CREATE.${name}`, { name, subjects: [subject], storage: 'file', max_consumers: -1, ...config });
    return;
  }
  const { subjects = [] } = found.config;
  if (subjects.includes(subject)) return;
  throw new BrokerError('mismatch', `The stream ${JSON.stringify(name)} is there, and does not have the subject ${subject} but ${subjects.join(', ')}. Give another \`stream\`.`);
}
