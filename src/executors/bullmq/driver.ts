import { driverError } from '../remote/driver-error.js';

type Listener = (...args: never[]) => void;

/** What is needed of a client of Redis, as BullMQ has it. */
export interface BullClient {
  readonly status: string;
  on(event: string, listener: Listener): unknown;
  removeListener(event: string, listener: Listener): unknown;
}

/** What a part of BullMQ does its work with. */
export interface BullBackend {
  /** Comes once it has connected and has heard which version the server is. */
  readonly client: Promise<BullClient>;
  /** Only what reads and waits has one beside the other. */
  readonly blockingClient?: Promise<BullClient> | undefined;
  close(force?: boolean): Promise<void>;
  disconnect(): Promise<void>;
}

/** What is needed of any part of BullMQ. */
export interface BullPart {
  getBackend(): BullBackend;
  on(event: string, listener: Listener): unknown;
  close(force?: boolean): Promise<void>;
}

export interface BullJob {
  readonly id?: string | undefined;
  readonly data: unknown;
  readonly stalledCounter?: number | undefined;
  updateProgress(progress: object): Promise<void>;
  updateData(data: object): Promise<void>;
  moveToDelayed(timestamp: number, token?: string): Promise<void>;
  moveToWait(token?: string): Promise<unknown>;
}

export interface BullQueue extends BullPart {
  add(name: string, data: object, options: object): Promise<unknown>;
}

export interface BullWorker extends BullPart {
  run(): Promise<void>;
  pause(doNotWaitActive?: boolean): Promise<void>;
}

export interface BullProducer extends BullPart {
  publishEvent(event: { readonly eventName: string; readonly text: string }, maxEvents: number): Promise<void>;
}

/** What is needed of the module. */
export interface Driver {
  readonly Queue: new (name: string, options: object) => BullQueue;
  readonly QueueEvents: new (name: string, options: object) => BullPart;
  readonly QueueEventsProducer: new (name: string, options: object) => BullProducer;
  readonly Worker: new (name: string, processor: (job: BullJob, token?: string) => Promise<unknown>, options: object) => BullWorker;
  readonly DelayedError: new () => Error;
  readonly WaitingError: new () => Error;
  readonly UnrecoverableError: new (message?: string) => Error;
}

export async function loadDriver(): Promise<Driver> {
  try {
    return (await import('bullmq')) as unknown as Driver;
  } catch (error) {
    throw driverError('BullMQ', 'bullmq', error);
  }
}
