import type { JobStore } from 'punctual';
import { storeContext, type JobStoreSubject } from 'punctual/testing';

/** A second opening of one store in one process is what a connection is to a store in memory. */
export async function subjectOf(store: JobStore): Promise<JobStoreSubject> {
  const context = storeContext();
  await store.open(context);
  return {
    store,
    connect: store.shared
      ? async () => {
          await store.open(context);
          return store;
        }
      : undefined,
    reopen: store.durable
      ? async () => {
          await store.close();
          await store.open(storeContext());
          return store;
        }
      : undefined,
  };
}
