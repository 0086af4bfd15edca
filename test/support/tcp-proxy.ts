import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

/** Ms that data is under way. */
export interface Latency {
  /** From the client to the server. */
  readonly up?: number;
  /** From the server to the client. */
  readonly down?: number;
}

/** A network that can be broken, between clients in this process or others and a server on this machine. */
export class TcpProxy {
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #weather: Weather = { ...FAIR };
  #port = 0;
  #accepted = 0;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => { this.#accept(client); });
  }

  /** @param targetPort - where the server listens, on 127.0.0.1. */
  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await proxy.#listen();
    return proxy;
  }

  /** Where clients find it, on 127.0.0.1. The same for as long as it lives. */
  get port(): number {
    return this.#port;
  }

  /** Connections there are. */
  get connections(): number {
    return this.#links.size;
  }

  /** Connections there have been. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Delays what is sent from now on. */
  delay({ up = 0, down = 0 }: Latency): void {
    this.#weather.up = up;
    this.#weather.down = down;
  }

  /** Lets only so much through, in each direction of each connection. */
  limit(bytesPerSecond: number): void {
    this.#weather.bytesPerSecond = bytesPerSecond;
  }

  /** Breaks all connections, with a reset. What was under way is lost. New ones are let in. */
  cut(): void {
    for (const link of [...this.#links]) link.cut();
  }

  /** Refuses new connections: nobody listens any more. Those that are there stay. */
  refuse(): void {
    if (this.#server.listening) this.#server.close();
  }

  /**
   * Takes connections and whatever is sent, and passes nothing on: no data, no end, no reset. The two sides may live and
   * die without the other's knowing. Once it is over each gets what it missed, in the order in which it was sent.
   *
   * @param direction - only what the client sends (`up`), or only the answers (`down`): the server acts, and nobody hears.
   */
  freeze(direction?: keyof Latency): void {
    if (direction !== 'down') this.#weather.isUpFrozen = true;
    if (direction !== 'up') this.#weather.isDownFrozen = true;
  }

  /** Everything is well again: connections are let in, data flows at once. */
  async heal(): Promise<void> {
    Object.assign(this.#weather, FAIR);
    for (const link of [...this.#links]) link.flush();
    if (!this.#server.listening) await this.#listen();
  }

  /** Ends everything. */
  close(): void {
    this.refuse();
    this.cut();
  }

  async #listen(): Promise<void> {
    const server = this.#server;
    for (let tries = 1; ; tries++) {
      try {
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen(this.#port, '127.0.0.1', () => {
            server.removeListener('error', reject);
            resolve();
          });
        });
        break;
      } catch (error) {
        // While nobody listened somebody else may have been lent the port, for a connection.
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries > 100) throw error;
        await new Promise((resolve) => { setTimeout(resolve, 100); });
      }
    }
    this.#port = (server.address() as AddressInfo).port;
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    const server = createConnection({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const link = new Link(client, server, this.#weather, () => { this.#links.delete(link); });
    this.#links.add(link);
  }
}

interface Weather {
  up: number;
  down: number;
  bytesPerSecond: number;
  isUpFrozen: boolean;
  isDownFrozen: boolean;
}

const FAIR: Weather = { up: 0, down: 0, bytesPerSecond: Number.POSITIVE_INFINITY, isUpFrozen: false, isDownFrozen: false };

/** The two sockets of a connection. */
class Link {
  readonly #sockets: readonly [Socket, Socket];
  readonly #streams: readonly [Stream, Stream];
  readonly #onGone: () => void;

  constructor(client: Socket, server: Socket, weather: Weather, onGone: () => void) {
    this.#sockets = [client, server];
    this.#onGone = onGone;
    const ended = (): void => {
      if (client.destroyed && server.destroyed) this.#drop();
    };
    this.#streams = [
      new Stream(client, server, weather, 'up', ended),
      new Stream(server, client, weather, 'down', ended),
    ];
  }

  flush(): void {
    for (const stream of this.#streams) stream.flush();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#drop();
  }

  #drop(): void {
    for (const stream of this.#streams) stream.drop();
    this.#onGone();
  }
}

/** What one side sends and the other has not got yet: data, that it has ended, that its connection broke. */
type Parcel = { readonly what: Buffer | 'end' | 'reset'; readonly at: number };

/** More than this is left with the sender. */
const MOST_BYTES = 16 * 1024 * 1024;

/** One direction of a connection. */
class Stream {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #weather: Weather;
  readonly #direction: keyof Latency;
  readonly #ended: () => void;
  #parcels: Parcel[] = [];
  #bytes = 0;
  /** When the line is free again. */
  #freeAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, weather: Weather, direction: keyof Latency, ended: () => void) {
    this.#from = from;
    this.#to = to;
    this.#weather = weather;
    this.#direction = direction;
    this.#ended = ended;
    const send = (what: Parcel['what']): void => {
      const length = typeof what === 'string' ? 0 : what.length;
      this.#freeAt = Math.max(this.#freeAt, performance.now()) + (length / weather.bytesPerSecond) * 1_000;
      // A shorter latency than before does not let it overtake.
      const at = Math.max(this.#freeAt + weather[direction], this.#parcels.at(-1)?.at ?? 0);
      this.#parcels.push({ what, at });
      this.#bytes += length;
      if (this.#bytes > MOST_BYTES) from.pause();
      this.flush();
    };
    from.on('data', send);
    from.on('end', () => { send('end'); });
    from.on('error', () => undefined);
    from.on('close', (hadError) => {
      if (hadError) send('reset');
      ended();
    });
    // What does not take more gets more later.
    to.on('drain', () => { this.flush(); });
  }

  get #isFrozen(): boolean {
    return this.#direction === 'up' ? this.#weather.isUpFrozen : this.#weather.isDownFrozen;
  }

  /** Passes on what is due. */
  flush(): void {
    clearTimeout(this.#timer);
    while (!this.#isFrozen && this.#parcels.length > 0) {
      const { what, at } = this.#parcels[0]!;
      const early = at - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => { this.flush(); }, early);
        return;
      }
      this.#parcels.shift();
      this.#pass(what);
    }
    if (this.#bytes <= MOST_BYTES) this.#from.resume();
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#parcels = [];
    this.#bytes = 0;
  }

  #pass(what: Parcel['what']): void {
    if (what === 'reset') {
      this.#to.resetAndDestroy();
      this.#ended();
    } else if (what === 'end') {
      this.#to.end();
    } else {
      this.#bytes -= what.length;
      if (!this.#to.destroyed) this.#to.write(what);
    }
  }
}
