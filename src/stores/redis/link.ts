import { createHash } from 'node:crypto';
import type { Clock } from '../../ports/clock.js';
import type { Argument, Connect, RedisConnection, Reply } from './driver.js';
import { isNoScript, isWrongServer, RedisStoreError, translate } from './errors.js';

/** A script, and the name the server gives it. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

export function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

/**
 * The way to the server: a connection that is made when it is first needed, and made again by the next call after it
 * broke. A call is sent once. It waits neither for a better time nor for ever: with the server away it fails, and it is
 * the caller who tries again.
 */
export class Link {
  /** What all keys begin with. */
  readonly base: string;
  readonly timeoutMs: number;
  readonly #connect: Connect;
  readonly #clock: Clock;
  #connection: RedisConnection | undefined;
  #connecting: Promise<RedisConnection> | undefined;
  /** Connections made so far: what is heard of an earlier one is not about the present one. */
  #made = 0;
  #isClosed = false;

  constructor(connect: Connect, base: string, { clock, timeoutMs }: { clock: Clock; timeoutMs: number }) {
    this.#connect = connect;
    this.base = base;
    this.#clock = clock;
    this.timeoutMs = timeoutMs;
  }

  /** Runs a script in one round trip; its only key is the base of all others. @throws RedisStoreError */
  async run({ sha, text }: Script, args: readonly Argument[]): Promise<Reply> {
    return this.#call(async (connection) => {
      try {
        return await connection.send(this.base, ['EVALSHA', sha, '1', this.base, ...args]);
      } catch (error) {
        // It was not run: this is said before anything else.
        if (!isNoScript(error)) throw error;
        return connection.send(this.base, ['EVAL', text, '1', this.base, ...args]);
      }
    });
  }

  /** A command that has to do with no key. @throws RedisStoreError */
  async send(...command: string[]): Promise<Reply> {
    return this.#call((connection) => connection.send('', command));
  }

  /** A connection of its own, for notices. `onLost` is called once, when it ends. */
  async separate(onLost: (error: Error) => void): Promise<RedisConnection> {
    return this.inTime(this.#connect(onLost, this.timeoutMs), (late) => { late.destroy(); }, unconnected);
  }

  close(): void {
    this.#isClosed = true;
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  async #call(work: (connection: RedisConnection) => Promise<Reply>): Promise<Reply> {
    let connection: RedisConnection | undefined;
    try {
      connection = this.#connection ?? (await this.#connected());
      return await this.inTime(work(connection));
    } catch (error) {
      // A connection on which an answer is missing is not used again: what it was sent may be anywhere.
      const isOver = isWrongServer(error) || (error instanceof RedisStoreError && error.reason === 'timeout');
      if (isOver && connection !== undefined) this.#drop(connection);
      throw this.#isClosed ? closed(error) : translate(error);
    }
  }

  async #connected(): Promise<RedisConnection> {
    if (this.#isClosed) throw closed();
    this.#connecting ??= this.#make().finally(() => { this.#connecting = undefined; });
    return this.#connecting;
  }

  async #make(): Promise<RedisConnection> {
    const attempt = (this.#made += 1);
    let isLost = false;
    const made = await this.separate(() => {
      isLost = true;
      if (this.#made === attempt) this.#connection = undefined;
    });
    if (this.#isClosed) {
      made.destroy();
      throw closed();
    }
    if (!isLost) this.#connection = made;
    return made;
  }

  #drop(connection: RedisConnection): void {
    if (this.#connection === connection) this.#connection = undefined;
    connection.destroy();
  }

  /** The answer, or an error once the time is up; `onLate` is given an answer that comes after that. */
  async inTime<T>(work: Promise<T>, onLate?: (late: T) => void, late: () => RedisStoreError = unanswered): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      const timer = this.#clock.setTimer(this.timeoutMs, () => {
        isOver = true;
        reject(late());
      });
      work.then(
        (answer) => {
          timer.cancel();
          if (isOver) onLate?.(answer);
          else resolve(answer);
        },
        (error: unknown) => {
          timer.cancel();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }
}

function unanswered(): RedisStoreError {
  return new RedisStoreError('timeout', 'Redis did not answer in time. Look for load and long scripts there (SLOWLOG GET, LATENCY DOCTOR), or raise `timeout`.');
}

/** A server that wants TLS waits in silence for one who does not begin with it. */
function unconnected(): RedisStoreError {
  return new RedisStoreError('unreachable', 'There was no connection to Redis in time. Check host, port and firewall, that Redis is what listens there, and whether it wants TLS (`tls`, or rediss:// in the `url`).');
}

function closed(cause?: unknown): RedisStoreError {
  return new RedisStoreError('closed', 'This RedisJobStore is not open. A scheduler opens it; on your own, call open() first.', { cause });
}
