import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TcpProxy } from './tcp-proxy.js';

/** The server says what it hears, and ends when its client does. */
let server: Server;
let proxy: TcpProxy;
let heard = '';
const served = new Set<Socket>();
const clients: Client[] = [];

class Client {
  readonly socket: Socket;
  received = '';
  state: 'open' | 'ended' | 'broken' = 'open';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8').on('data', (text: string) => { this.received += text; });
    socket.on('end', () => { this.state = 'ended'; });
    socket.on('error', () => { this.state = 'broken'; });
    clients.push(this);
  }

  static async open(): Promise<Client> {
    const client = new Client(connect(proxy.port, '127.0.0.1'));
    await once(client.socket, 'connect');
    return client;
  }
}

const until = (condition: () => void): Promise<void> => vi.waitFor(condition, { timeout: 10_000, interval: 5 });
const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

beforeEach(async () => {
  heard = '';
  server = createServer((socket) => {
    served.add(socket);
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
      socket.write(text.toUpperCase());
    });
    socket.on('error', () => undefined);
    socket.on('close', () => served.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await TcpProxy.start((server.address() as AddressInfo).port);
});

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  for (const socket of served) socket.destroy();
  proxy.close();
  server.close();
});

describe('the TCP proxy', () => {
  it('passes on what is sent, and that it has ended', async () => {
    const client = await Client.open();
    client.socket.end('hello');
    await until(() => { expect([client.received, client.state]).toEqual(['HELLO', 'ended']); });
    await until(() => { expect([proxy.connections, proxy.accepted, served.size]).toEqual([0, 1, 0]); });
  });

  it('delays each direction', async () => {
    const client = await Client.open();
    proxy.delay({ up: 100, down: 150 });
    const sent = performance.now();
    client.socket.write('a');
    await until(() => { expect(heard).toBe('a'); });
    expect(performance.now() - sent).toBeGreaterThan(95);
    await until(() => { expect(client.received).toBe('A'); });
    expect(performance.now() - sent).toBeGreaterThan(245);
  });

  it('lets nothing overtake what is delayed', async () => {
    const client = await Client.open();
    proxy.delay({ up: 100 });
    client.socket.write('a');
    await pause(20);
    proxy.delay({});
    client.socket.write('b');
    await until(() => { expect(heard).toBe('ab'); });
  });

  it('lets only so much through', async () => {
    const client = await Client.open();
    proxy.limit(100_000);
    const sent = performance.now();
    client.socket.write('x'.repeat(20_000));
    await until(() => { expect(client.received.length).toBe(20_000); });
    expect(performance.now() - sent).toBeGreaterThan(190);
  });

  it('breaks connections, and lets new ones in', async () => {
    const client = await Client.open();
    client.socket.write('a');
    await until(() => { expect(client.received).toBe('A'); });
    proxy.cut();
    await until(() => { expect([client.state, served.size, proxy.connections]).toEqual(['broken', 0, 0]); });
    const next = await Client.open();
    next.socket.write('b');
    await until(() => { expect(next.received).toBe('B'); });
  });

  it('refuses new connections until it is healed, and keeps those there are', async () => {
    const client = await Client.open();
    proxy.refuse();
    await expect(Client.open()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    client.socket.write('a');
    await until(() => { expect(client.received).toBe('A'); });
    const { port } = proxy;
    await proxy.heal();
    expect(proxy.port).toBe(port);
    const next = await Client.open();
    next.socket.write('b');
    await until(() => { expect(next.received).toBe('B'); });
  });

  it('swallows what is sent while it is frozen, and delivers it in order afterwards', async () => {
    const client = await Client.open();
    client.socket.write('a');
    await until(() => { expect(client.received).toBe('A'); });
    proxy.freeze();
    client.socket.write('b');
    const late = await Client.open();
    late.socket.write('x');
    await pause(50);
    client.socket.write('c');
    for (const socket of served) socket.write('!');
    await pause(100);
    expect([heard, client.received, late.received]).toEqual(['a', 'A', '']);
    await proxy.heal();
    await until(() => { expect([client.received, late.received.replace('!', '')]).toEqual(['A!BC', 'X']); });
  });

  it('keeps back the answers alone', async () => {
    const client = await Client.open();
    proxy.freeze('down');
    client.socket.write('a');
    await until(() => { expect(heard).toBe('a'); });
    await pause(50);
    expect(client.received).toBe('');
    await proxy.heal();
    await until(() => { expect(client.received).toBe('A'); });
  });

  it('lets neither side know that the other is gone while it is frozen', async () => {
    const client = await Client.open();
    await until(() => { expect(served.size).toBe(1); });
    proxy.freeze();
    client.socket.write('last words');
    await pause(20);
    client.socket.resetAndDestroy();
    await pause(100);
    expect([heard, served.size]).toEqual(['', 1]);
    await proxy.heal();
    await until(() => { expect([heard, served.size, proxy.connections]).toEqual(['last words', 0, 0]); });
  });

  it('tells its client when the server is not there, or breaks off', async () => {
    const client = await Client.open();
    await until(() => { expect(served.size).toBe(1); });
    server.close();
    for (const socket of served) socket.resetAndDestroy();
    await until(() => { expect(client.state).toBe('broken'); });
    const next = await Client.open();
    await until(() => { expect(next.state).toBe('broken'); });
  });

  it('passes on more than any buffer holds', async () => {
    const client = await Client.open();
    proxy.freeze();
    const text = 'abcdefgh'.repeat(4 * 1024 * 1024);
    client.socket.write(text);
    await pause(50);
    await proxy.heal();
    await until(() => { expect(client.received.length).toBe(text.length); });
    expect(client.received === text.toUpperCase()).toBe(true);
  });
});
