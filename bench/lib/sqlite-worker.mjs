/** One of several processes that work on one file: `sqlite-worker.mjs <path>`. Tells how many runs it has recorded, and when. */
import { schedulerOn } from './sqlite-jobs.mjs';

const [path = ''] = process.argv.slice(2);
const scheduler = await schedulerOn(path);
let runs = 0;
let last = 0;
scheduler.on('jobExecuted', () => {
  runs += 1;
  last = Date.now();
});
await scheduler.start();
process.on('message', () => void scheduler.shutdown().then(() => process.exit()));
process.send?.({ runs, last });
setInterval(() => process.send?.({ runs, last }), 20);
