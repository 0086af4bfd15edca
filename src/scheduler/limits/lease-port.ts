import type { Lease, LeaseRequest, MaybePromise } from '../../ports/job-store.js';

/** The leases of a job store, as limits need them. */
export interface LeasePort {
  acquireLease(request: LeaseRequest): MaybePromise<Lease | undefined>;
  lease(key: string): MaybePromise<Lease | undefined>;
  releaseLease(key: string, holder: string): MaybePromise<void>;
}
