/**
 * iCalendar recurrence rules (RFC 5545) as triggers, through the package `rrule`, which is yours to install.
 *
 * @module
 */
export { RRuleTrigger, registerRRule } from './rrule-trigger.js';
export type { RRuleTriggerOptions } from './rrule-trigger.js';
export type { RecurrenceRule, RRuleLibrary } from './library.js';
