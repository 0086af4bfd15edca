export { isThenable } from '../time/thenable.js';
