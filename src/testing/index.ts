export { VirtualClock } from './virtual-clock.js';
export { triggerLaws } from './contracts/trigger-laws.js';
