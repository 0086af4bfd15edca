/** The ways of a round's processes to the store: each through a proxy of its own, where there is a server. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../src/testing/simulation/random.js';
import { TcpProxy } from '../../test/support/tcp-proxy.js';
import type { Children, Line } from './children.js';

export class ProxiedLine implements Line {
  readonly proxy: TcpProxy;
  troubles = 0;

  private constructor(proxy: TcpProxy) {
    this.proxy = proxy;
  }

  static async open(serverPort: number): Promise<ProxiedLine> {
    return new ProxiedLine(await TcpProxy.start(serverPort));
  }

  get port(): number {
    return this.proxy.port;
  }
}

/** To a file there is none that could break. */
export class DirectLine implements Line {
  readonly port = 0;
  troubles = 0;
}

export const NETWORK_FAULTS = ['cut', 'refuse', 'freeze', 'deaf', 'slow'] as const;
export type NetworkFault = (typeof NETWORK_FAULTS)[number];

/** Disturbs a line for so long. One at a time. */
export async function disturb(line: ProxiedLine, fault: NetworkFault, ms: number, children: Children, random: Random): Promise<void> {
  const { proxy } = line;
  const over = children.trouble(line);
  switch (fault) {
    case 'cut':
      // Again and again: whoever comes back is cut off once more.
      for (const until = performance.now() + ms; performance.now() < until; ) {
        proxy.cut();
        await sleep(random.whole(10, 300));
      }
      break;
    case 'refuse':
      proxy.refuse();
      proxy.cut();
      await sleep(ms);
      break;
    case 'freeze':
      proxy.freeze();
      await sleep(ms);
      // Half of the time what was sent arrives late, else never.
      if (random.chance(0.5)) proxy.cut();
      break;
    case 'deaf':
      proxy.freeze('down');
      await sleep(ms);
      if (random.chance(0.5)) proxy.cut();
      break;
    case 'slow':
      proxy.delay({ up: random.whole(0, 120), down: random.whole(0, 120) });
      await sleep(ms);
      break;
    default:
      throw new Error(`no such fault: ${String(fault satisfies never)}`);
  }
  await proxy.heal();
  over();
}
