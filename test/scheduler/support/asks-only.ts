import { AsyncScheduler } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';

const [path = '', what] = process.argv.slice(2);
const scheduler = new AsyncScheduler({ jobStores: { default: new SQLiteJobStore(path) } });
const run = await scheduler.enqueue(scheduler.defineTask('work', () => 1), { delay: { hours: 1 } });
console.log('asked');
if (what === 'waits') await run.result();
