import type { Logger } from '../ports/logger.js';

const PREFIX = 'punctual: ';

/** Among what else a program writes, a line should say where it comes from. That of an event does already. */
const marked = (message: string): string => (message.startsWith(PREFIX) ? message : PREFIX + message);

/* eslint-disable no-console -- the default place for trouble: it should not need a logger to be seen */

/** Warnings and errors to `console`. A logger of the user's gets its messages without the prefix, since it has names of its own. */
export const consoleLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (message, fields) => { console.warn(marked(message), fields ?? ''); },
  error: (message, fields) => { console.error(marked(message), fields ?? ''); },
};
/* eslint-enable no-console */
