/**
 * The long form of test/triggers/fuzz.test.ts: random expressions against croner and cron-parser.
 *
 * tsx scripts/fuzz-cron.ts [rounds, default 50000] [seed, default 1]
 */
import { fuzz } from '../test/triggers/support/fuzz.js';

const [, , rounds = '50000', seed = '1'] = process.argv;
const { compared, refused, differences } = fuzz(Number(seed), Number(rounds));
for (const difference of differences.slice(0, 50)) console.error(difference);
console.log(
  `${rounds} expressions, seed ${seed}: ${compared} fire times compared, ${differences.length} differences; ` +
    `refused by croner ${refused.croner}, by cron-parser ${refused['cron-parser']}`,
);
if (differences.length > 0) process.exitCode = 1;
