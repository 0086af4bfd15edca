import { AsyncScheduler, IntervalTrigger } from 'punctual';

const args = process.argv.slice(2);
const scheduler = new AsyncScheduler({ keepAlive: args.includes('keepAlive=true') });
await scheduler.addJob(() => undefined, new IntervalTrigger({ hours: 1 }));
await scheduler.start({ paused: args.includes('paused') });
console.log('started');
if (args.includes('shutdown')) await scheduler.shutdown();
