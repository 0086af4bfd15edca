export { VirtualClock } from './virtual-clock.js';
export { EventRecorder } from './event-recorder.js';
export { JsonJobStore } from './json-job-store.js';
export { triggerLaws } from './contracts/trigger-laws.js';
export type { TriggerLaw, TriggerLawContext } from './contracts/trigger-laws.js';
export { jobStoreContract } from './contracts/job-store-contract.js';
export { missingTraits, storeContext } from './contracts/job-store/subject.js';
export type { JobStoreCase, JobStoreSubject, JobStoreTrait } from './contracts/job-store/subject.js';
