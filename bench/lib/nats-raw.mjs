import { loadNatsDriver, loadNatsKv } from './load.mjs';

/**
 * What cannot be done without on NATS, by hand: a key of a KV bucket for each job, updated by compare-and-set when a run
 * starts and again when it has ended, as many updates on their way as are allowed. No history, no index of what is due.
 *
 * @param {string} url
 * @param {number} length of the values, in bytes
 * @param {number} concurrency
 */
export async function openRaw(url, length, concurrency) {
  const { connect } = await loadNatsDriver();
  const { Kvm } = await loadNatsKv();
  const connection = await connect({ servers: url });
  const bucket = await new Kvm(connection).create('raw', { history: 1 });
  const value = 'x'.repeat(length);
  /** @type {number[]} */
  const revisions = [];

  /**
   * @param {number} jobs
   * @param {(i: number) => Promise<void>} step
   */
  const each = async (jobs, step) => {
    let next = 0;
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        while (next < jobs) await step(next++);
      }),
    );
  };

  return {
    /** @param {number} jobs */
    add: (jobs) =>
      each(jobs, async (i) => {
        revisions[i] = await bucket.create(`job-${i}`, value);
      }),

    /** @param {number} jobs */
    work: (jobs) =>
      each(jobs, async (i) => {
        const started = await bucket.update(`job-${i}`, value, revisions[i] ?? 0);
        revisions[i] = await bucket.update(`job-${i}`, value, started);
      }),

    close: () => connection.close(),
  };
}
