import type { AmqpConfirmChannel } from './driver.js';
import type { LinkSettings } from './options.js';

/** The exchange on which executors tell all workers of a queue to stop a run. */
export function controlExchange(queue: string): string {
  return `${queue}.control`;
}

/** Where a run waits for its next attempt. */
export function delayQueue(queue: string, delayMs: number): string {
  return `${queue}.delay.${delayMs}`;
}

export async function declareQueue(channel: AmqpConfirmChannel, { queue, declare, queueArguments }: LinkSettings): Promise<void> {
  if (declare) await channel.assertQueue(queue, { durable: true, arguments: queueArguments });
  else await channel.checkQueue(queue);
}

export async function declareControl(channel: AmqpConfirmChannel, { queue, declare }: LinkSettings): Promise<void> {
  const exchange = controlExchange(queue);
  if (declare) await channel.assertExchange(exchange, 'fanout', { durable: true });
  else await channel.checkExchange(exchange);
}
