/**
 * A program with a scheduler that listens for signals. Says what happens, a line each.
 *
 *     tsx signals.ts <file of jobs> <ms that the task takes> [listener]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncScheduler, currentRun } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';

const [file = '', ms = '', listener] = process.argv.slice(2);
const say = (line: string): void => { process.stdout.write(`${line}\n`); };

const scheduler = new AsyncScheduler({
  jobStores: { default: new SQLiteJobStore(file) },
  signals: true,
  tasks: {
    async work() {
      say('begins');
      try {
        await sleep(Number(ms), undefined, { signal: currentRun().signal });
        say('ends');
      } catch (error) {
        say('aborted');
        throw error;
      }
    },
  },
});
if (listener !== undefined) {
  process.on('SIGTERM', () => { say('heard'); });
  scheduler.once('schedulerShutdown', () => { setTimeout(() => process.exit(7), 200); });
}
scheduler.once('schedulerShutdown', () => { say('shut down'); });
await scheduler.addJob('work', new Date(), { id: 'work', replaceExisting: true, maxRuns: 1 });
await scheduler.start();
// The rest of the program, which knows nothing of signals.
setInterval(() => undefined, 60_000);
