import { toString as cronstrue } from 'cronstrue';
import { optionsText } from '../words.js';
import type { CronTrigger } from './cron-trigger.js';
import { FIELDS, STRING_FIELDS } from './fields.js';
import { readFieldTexts } from './object-form.js';
import { readExpression, type ReadCron } from './read-expression.js';

/** A cron trigger in plain English. */
export function describeCron(trigger: CronTrigger): string {
  const { expression, fields } = trigger;
  const cron = fields === undefined ? readExpression(expression) : readFieldTexts(fields);
  return `${(fields === undefined ? inWords(cron) : undefined) ?? byField(cron)}${optionsText(trigger)}`;
}

/** cronstrue's sentence, where it understands the expression as we do. */
function inWords({ texts, fields }: ReadCron): string | undefined {
  // It does not know `?` outside the day fields, takes H for a value, and sees nothing but L-3 in a list that has it.
  if (Object.values(fields).some(({ items }) => items.some(({ type }) => type === 'hash'))) return undefined;
  const days = fields.day?.items ?? [];
  if (days.length > 1 && days.some((item) => item.type === 'last' && item.offset > 0)) return undefined;
  const expression = STRING_FIELDS.map(({ name }) => (fields[name]?.open === true ? '*' : (texts[name] ?? '*'))).join(
    ' ',
  );
  try {
    // It knows L and W as capitals only.
    const words = cronstrue(expression.toUpperCase(), { use24HourTimeFormat: true });
    return words.includes('undefined') ? undefined : words;
  } catch {
    return undefined;
  }
}

/** The restricted fields one by one: exact, if not elegant. */
function byField({ texts, fields, join }: ReadCron): string {
  const parts = (['year', 'month', 'week', 'day', 'dayOfWeek', 'hour', 'minute', 'second'] as const).flatMap((name) =>
    fields[name]?.open === false ? [`${FIELDS[name].label} ${texts[name] ?? ''}`] : [],
  );
  if (parts.length === 0) return 'Every second';
  const either = join === 'or' && fields.day?.open === false && fields.dayOfWeek?.open === false;
  return `At every time with ${parts.join(', ')}${either ? ' (either day field suffices)' : ''}`;
}
