import type { AmqpConfirmChannel } from './driver.js';
import type { LinkSettings } from './options.js';

/** Ten years. RabbitMQ takes times up to a hundred, of messages and of queues alike, and closes the channel over a longer one. */
export const MOST_MS = 10 * 365 * 86_400_000;

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
