import type { NetworkFaults } from './connection.js';
import { Random } from './random.js';

/** What kind of world a seed makes. */
export interface Plan {
  readonly nodes: number;
  /** One scheduler on a store of its own; its wall clock may jump, and there is no better clock. */
  readonly solo: boolean;
  /** Records pass through JSON, and outlive the processes. */
  readonly durable: boolean;
  /** The store has a clock; then those of the nodes are wrong. */
  readonly ownClock: boolean;
  readonly leaseMs: number;
  readonly maxSleepMs: number;
  readonly storeTimeoutMs: number;
  readonly batchSize: number;
  readonly ledgerLimit: number;
  readonly jobs: number;
  readonly longestMs: number;
  /** How long things go wrong, in ms; after that the world heals. */
  readonly troubleMs: number;
  readonly network: NetworkFaults;
  /** Mean time between events of each kind, in ms; infinite for never. */
  readonly every: {
    readonly call: number;
    readonly crash: number;
    readonly freeze: number;
    readonly outage: number;
    readonly partition: number;
    readonly jump: number;
    readonly shutdown: number;
    readonly pause: number;
  };
}

/** The world of a seed: from calm to awful, from one node to four. */
export function makePlan(seed: number): Plan {
  const random = new Random(seed);
  const solo = random.chance(0.15);
  const synchronous = random.chance(0.2);
  const awful = random.pick([0, 0.3, 1, 1, 2]);
  const often = (ms: number): number => (awful === 0 || random.chance(0.25) ? Number.POSITIVE_INFINITY : ms / awful);
  const durable = random.chance(0.25);
  const mayDie = !solo || durable;
  const leaseMs = random.pick([1_000, 2_000, 3_000, 6_000, 15_000]);
  // A store that dies with its process is part of it: nothing gets lost between them.
  const probability = (p: number): number => (random.chance(0.3) || !mayDie ? 0 : p * awful);
  return {
    nodes: solo ? 1 : random.whole(1, 4),
    solo,
    durable,
    ownClock: !solo && random.chance(0.5),
    leaseMs,
    maxSleepMs: random.pick([1_000, 5_000, 30_000]),
    storeTimeoutMs: random.pick([800, 2_500, 10_000]),
    batchSize: random.pick([1, 3, 500]),
    ledgerLimit: random.pick([20, 5_000]),
    jobs: random.whole(1, 6),
    longestMs: random.pick([300, 4_000, 20_000]),
    troubleMs: random.whole(30_000, 90_000),
    network: {
      synchronous,
      // A lease is worth something only if the way to the store is short beside it.
      latencyMs: Math.min(random.pick([0, 3, 12, 60]), leaseMs / 60),
      slow: probability(0.02),
      lostRequest: probability(0.01),
      lostAnswer: probability(0.02),
      doubled: probability(0.03),
      crashAtCommit: mayDie ? probability(0.01) : 0,
    },
    every: {
      call: random.pick([1_500, 6_000, 20_000]),
      crash: mayDie ? often(25_000) : Number.POSITIVE_INFINITY,
      freeze: often(25_000),
      outage: often(40_000),
      partition: often(30_000),
      jump: often(25_000),
      shutdown: mayDie ? often(40_000) : Number.POSITIVE_INFINITY,
      pause: often(40_000),
    },
  };
}

/** Whether nothing keeps nodes from each other or from the store, and none dies: they may be told to do things, and no more. */
export function isCalm({ network, every }: Plan): boolean {
  const { slow, lostRequest, lostAnswer, doubled, crashAtCommit } = network;
  const never = [every.crash, every.freeze, every.outage, every.partition, every.shutdown, every.pause];
  return slow + lostRequest + lostAnswer + doubled + crashAtCommit === 0 && never.every((ms) => ms === Number.POSITIVE_INFINITY);
}
