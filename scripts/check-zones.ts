/**
 * The complete form of test/triggers/zones.test.ts: every zone of Intl, every change from 1970 to 2037, every rule,
 * compared with the rules' definitions; and every zone's table compared with Intl every twelve hours.
 *
 * tsx scripts/check-zones.ts [part of a zone's name]
 */
import { transitionsOf } from '../test/triggers/support/grid.js';
import { compareAround, compareOffsets, WallClock } from '../test/triggers/support/oracle.js';

const [, , part = ''] = process.argv;
const zones = Intl.supportedValuesOf('timeZone').filter((zone) => zone.includes(part));
const HOUR = 3_600_000;

function* everyTwelveHours(): Generator<number> {
  for (let at = Date.UTC(1970, 0); at < Date.UTC(2038, 0); at += 12 * HOUR) yield at;
}

let transitions = 0;
let faults = 0;
for (const timezone of zones) {
  const clock = new WallClock(timezone);
  const found = compareOffsets(timezone, clock, everyTwelveHours());
  for (const at of transitionsOf(timezone, 1970, 2038)) {
    transitions += 1;
    found.push(...compareAround(timezone, clock, at));
  }
  faults += found.length;
  for (const fault of found.slice(0, 10)) console.error(fault);
}
console.log(`${zones.length} zones, ${transitions} changes of offset: ${faults} differences`);
if (faults > 0) process.exitCode = 1;
