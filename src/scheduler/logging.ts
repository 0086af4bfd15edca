import type { SchedulerEvent } from '../events/events.js';
import { TOO_MANY_FAILURES } from '../model/notice.js';
import type { LogFields, Logger } from '../ports/logger.js';

/** A logger that takes the fields first, as pino does. */
export interface FieldsFirstLogger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  bindings(): unknown;
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

/** The logger as the port has it; one with `bindings()` is pino's kind, which wants the fields first. */
export function toLogger(given: Logger | FieldsFirstLogger): Logger {
  if (!isFieldsFirst(given)) return given;
  return {
    debug: (message, fields = {}) => { given.debug(fields, message); },
    info: (message, fields = {}) => { given.info(fields, message); },
    warn: (message, fields = {}) => { given.warn(fields, message); },
    error: (message, fields = {}) => { given.error(fields, message); },
  };
}

export function isLogger(value: unknown): value is Logger | FieldsFirstLogger {
  return typeof value === 'object' && value !== null && LEVELS.every((level) => typeof (value as Record<string, unknown>)[level] === 'function');
}

function isFieldsFirst(logger: Logger | FieldsFirstLogger): logger is FieldsFirstLogger {
  return 'bindings' in logger && typeof logger.bindings === 'function';
}

/** Adds fields to every line, and lets no failure of the logger out. */
export function childLogger(logger: Logger, fields: LogFields): Logger {
  const write = (level: (typeof LEVELS)[number], message: string, more: LogFields | undefined): void => {
    try {
      logger[level](message, { ...fields, ...more });
    } catch {
      // a logger that fails must not fail the work it reports on
    }
  };
  return {
    debug: (message, more) => { write('debug', message, more); },
    info: (message, more) => { write('info', message, more); },
    warn: (message, more) => { write('warn', message, more); },
    error: (message, more) => { write('error', message, more); },
  };
}

const UNHEARD: Partial<Record<SchedulerEvent['type'], 'info' | 'warn' | 'error'>> = {
  jobError: 'error',
  jobTimeout: 'warn',
  jobMissed: 'warn',
  jobMaxInstances: 'warn',
  jobAbandoned: 'warn',
  jobQuarantined: 'error',
  jobOverdue: 'error',
  jobRecovered: 'info',
  leaseLost: 'warn',
  clockJump: 'warn',
  clockSkew: 'warn',
  eventLoopBlocked: 'info',
  storeUnavailable: 'error',
  storeRecovered: 'info',
  tasksUnknown: 'warn',
  leaderElected: 'info',
  leaderLost: 'info',
  jobsUnserved: 'warn',
  nodeNameConflict: 'error',
};

/** What to do where an event alone does not tell. */
const ADVICE: Partial<Record<SchedulerEvent['type'], string>> = {
  tasksUnknown: 'Call defineTask for them, or leave their jobs to a process that does. For tasks that were renamed, keep the old names too.',
  jobsUnserved: 'Start a process that has what is demanded, or remove the jobs.',
  nodeNameConflict: 'Give each scheduler a `node` name of its own.',
};

/** Whether an event is worth a line in the log when nobody listens for it. */
export function isLoggedUnheard(type: SchedulerEvent['type']): boolean {
  return UNHEARD[type] !== undefined || type === 'jobPaused';
}

function levelOf(event: SchedulerEvent): (typeof LEVELS)[number] | undefined {
  if (event.type === 'eventLoopBlocked' && event.risksLeases) return 'warn';
  // Nobody has asked for that.
  if (event.type === 'jobPaused' && event.reason === TOO_MANY_FAILURES) return 'error';
  return UNHEARD[event.type];
}

/** Writes an event that no listener heard, so that trouble never passes unseen. */
export function logUnheard(logger: Logger, event: SchedulerEvent): void {
  const level = levelOf(event);
  if (level === undefined) return;
  try {
    const { type, ...fields } = event;
    const advice = ADVICE[type];
    logger[level](`punctual: ${type}`, advice === undefined ? fields : { ...fields, advice });
  } catch {
    // nobody left to tell
  }
}
