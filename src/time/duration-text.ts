import { MS_PER, type DurationParts } from './duration.js';

/** `5 minutes`, `1 hour 30 minutes`, `250 milliseconds`: a duration in words, exact. */
export function formatDuration(ms: number): string {
  const parts: string[] = [];
  let rest = ms;
  for (const unit of Object.keys(MS_PER) as (keyof DurationParts)[]) {
    const count = Math.floor(rest / MS_PER[unit]);
    // Seven days read better as a week, but 8 days not as a week and a day.
    if (count === 0 || (unit === 'weeks' && rest % MS_PER.weeks !== 0)) continue;
    parts.push(`${count} ${count === 1 ? unit.slice(0, -1) : unit}`);
    rest -= count * MS_PER[unit];
  }
  return parts.length === 0 ? '0 milliseconds' : parts.join(' ');
}
