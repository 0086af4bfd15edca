import { isPunctualError } from '../../errors/base.js';
import type { JobRecord } from '../../model/job.js';
import { RecordCodec } from '../../serializers/record-codec.js';
import { AlarmAudit } from './alarm-audit.js';
import { Caller, type JobKind } from './caller.js';
import { makeFeatures, type Features } from './features.js';
import { Host } from './host.js';
import { simulationTriggers } from './job-maker.js';
import { LimitWatch } from './limit-watch.js';
import { LinkAudit } from './link-audit.js';
import { isCalm, makePlan, type Plan } from './plan.js';
import { Random } from './random.js';
import { RecordAudit } from './record-audit.js';
import { Report, type Breach, type Totals } from './report.js';
import { RunWatch } from './run-watch.js';
import { SharedStore, show } from './shared-store.js';
import { SimNode } from './sim-node.js';
import { World } from './world.js';

export interface SimulationResult {
  readonly seed: number;
  /** The first promise that was not kept. */
  readonly breach: Breach | undefined;
  readonly totals: Totals;
}

/** A world has some thousands of steps. One with more is spinning. */
const MOST_STEPS = 400_000;
/** What starts may be off by where all clocks are right. */
const ROUNDING_MS = 5;
/** Longest time until an end is told to those who follow it, when nothing is wrong. */
const TOLD_MS = 10_000;
/** The same for a job that is overdue. */
const ALARM_MS = 15_000;
/** Longest back-off of a node that met a failing store. */
const BACK_OFF_MS = 30_000;

/**
 * Plays one world to its end: schedulers on a shared store, whatever the seed makes happen to them, and observers that
 * compare what is promised with what is done. The same seed plays the same world, step by step.
 */
export async function simulate(seed: number, trace?: (line: string) => void): Promise<SimulationResult> {
  const simulation = new Simulation(seed, trace);
  await simulation.play();
  const { breach, totals } = simulation.report;
  return { seed, breach, totals };
}

class Simulation {
  readonly report: Report;
  readonly #world = new World();
  readonly #plan: Plan;
  readonly #features: Features;
  readonly #random: Random;
  readonly #server: SharedStore;
  readonly #watch: RunWatch;
  readonly #limitWatch: LimitWatch;
  readonly #links: LinkAudit;
  readonly #alarms: AlarmAudit;
  readonly #caller: Caller;
  readonly #seed: number;
  /** By machine, the scheduler that is on it now. */
  readonly #machines: (SimNode | undefined)[] = [];
  #births = 0;
  #healing = false;
  /** Whether jobs are due by a clock that jumps. */
  readonly #wildTime: boolean;

  constructor(seed: number, trace: ((line: string) => void) | undefined) {
    this.#seed = seed;
    this.#plan = makePlan(seed);
    this.#features = makeFeatures(seed);
    this.#random = new Random(seed * 7 + 1);
    const { leaseMs, durable, solo, ledgerLimit, every, network } = this.#plan;
    this.report = new Report(this.#world, trace);
    const onTheWayMs = network.slow > 0 ? 800 : 2 * network.latencyMs + 60;
    this.#wildTime = solo && every.jump !== Number.POSITIVE_INFINITY;
    const leased = !solo || durable;
    const options = { leaseMs, leased, toleranceMs: leaseMs * 0.1, onTheWayMs, wildTime: this.#wildTime };
    this.#links = new LinkAudit(this.report);
    this.#alarms = new AlarmAudit(this.report, options);
    const audits = { records: new RecordAudit(this.report, options), links: this.#links, alarms: this.#alarms };
    const codec = durable ? new RecordCodec(simulationTriggers()) : undefined;
    this.#server = new SharedStore(this.#world, audits, this.report, ledgerLimit, codec);
    const rateToleranceMs = this.#wildTime ? Number.POSITIVE_INFINITY : this.#plan.ownClock ? options.toleranceMs : ROUNDING_MS;
    this.#limitWatch = new LimitWatch(this.report, this.#features.limits, rateToleranceMs);
    this.#watch = new RunWatch(this.report, this.#server, this.#limitWatch, this.#links);
    this.#server.onRecord = (record) => { this.#watch.allow(record); };
    this.#caller = new Caller(this.#random.fork(), this.report, this.#server, this.#links);
    this.report.trace(() => `seed ${seed}: ${JSON.stringify(this.#plan)} ${JSON.stringify(this.#features)}`);
  }

  async play(): Promise<void> {
    const { nodes, troubleMs, jobs, every } = this.#plan;
    for (let slot = 0; slot < nodes; slot++) this.#boot(slot, slot === 0 ? 0 : this.#random.whole(0, 5_000));
    for (let i = 0; i < jobs; i++) this.#add(i * this.#random.whole(0, 1_500) + 10, `job${i}`, 'plain');
    const { limited, followers, waiters } = this.#features;
    for (let i = 0; i < limited; i++) this.#add(500 * i, `limited${i}`, 'limited');
    for (let i = 0; i < followers; i++) this.#add(4_000 + 1_000 * i, `follower${i}`, 'follower');
    for (let i = 0; i < waiters; i++) this.#add(5_500 + 4_000 * i, `waiter${i}`, 'waiter');
    this.#again(every.call, () => this.#onSome((node) => (this.#caller.ids.length === 0 ? undefined : this.#caller.any(node))));
    this.#again(every.crash, () => { this.#onSome((node) => { this.#crash(node); }); });
    this.#again(every.freeze, () => { this.#onSome((node) => { this.#freeze(node); }); });
    this.#again(every.shutdown, () => { this.#onSome((node) => this.#shutDown(node)); });
    this.#again(every.pause, () => { this.#onSome((node) => this.#takeBreak(node)); });
    this.#again(every.outage, () => { this.#outage(); });
    this.#again(every.partition, () => { this.#onSome((node) => { this.#cutOff(node); }); });
    this.#again(every.jump, () => { this.#onSome((node) => { this.#jump(node); }); });
    this.#watchOver();

    await this.#until(troubleMs);
    await this.#heal();
    await this.#quiesce();
    this.report.totals.steps = this.#world.steps;
  }

  #add(afterMs: number, id: string, kind: JobKind): void {
    this.#world.after(afterMs, () => { this.#onSome((node) => this.#caller.add(node, id, kind)); });
  }

  /** Those that have booted. */
  get #nodes(): SimNode[] {
    return this.#machines.filter((node) => node !== undefined);
  }

  // ── machines ──

  #boot(slot: number, afterMs: number): void {
    this.#world.after(afterMs, () => {
      const { ownClock, solo, durable, network, leaseMs, maxSleepMs, storeTimeoutMs, batchSize, longestMs } = this.#plan;
      const random = this.#random.fork();
      const skew = ownClock ? random.whole(-3_600_000, 3_600_000) : 0;
      const rate = ownClock ? 1 + (random.next() - 0.5) * 2e-4 : 1;
      const host = new Host(this.#world, skew, rate, random.chance(0.3));
      const node: SimNode = new SimNode(
        {
          name: `n${slot}.${++this.#births}`, host, seed: this.#seed, leaseMs, maxSleepMs, storeTimeoutMs, batchSize, longestMs,
          tasks: slot === 0 ? ['work', 'rare'] : ['work'],
          triggers: simulationTriggers(),
          limits: this.#features.limits,
        },
        this.#watch,
        this.#alarms,
        this.report,
        {
          server: this.#server, random, faults: network, shared: !solo, ownClock,
          patienceMs: solo && !durable ? storeTimeoutMs : Math.min(storeTimeoutMs, leaseMs / 3),
          mayCrash: () => !this.#healing,
          crash: () => { this.#crash(node); },
        },
      );
      node.scheduler.on('leaseLost', ({ runId }) => {
        const well = this.#healing && this.#world.time - node.wellSince > 2 * leaseMs;
        if (well && host.alive) this.report.broken('G3', `${node.name} was well and lost the lease of ${runId}`);
      });
      this.#machines[slot] = node;
      if (this.#healing) node.connection.healed = true;
      this.report.trace(() => `${node.name} boots`);
      this.#start(node);
    });
  }

  /** A start that met a store which fails can be tried again. */
  #start(node: SimNode): void {
    void node.scheduler.start().then(
      () => { node.wellSince = this.#world.time; },
      (error: unknown) => {
        if (isPunctualError(error, 'STORE_FAILED')) node.host.setTimer(1_000, () => { this.#start(node); });
        else this.report.broken('API', `start failed: ${String(error)}`);
      },
    );
  }

  #crash(node: SimNode): void {
    if (!node.host.alive) return;
    this.report.totals.crashes += 1;
    this.report.trace(() => `${node.name} crashes`);
    node.host.crash();
    node.wellSince = Number.POSITIVE_INFINITY;
    this.#boot(this.#machines.indexOf(node), this.#random.whole(100, 15_000));
  }

  #freeze(node: SimNode): void {
    if (node.host.frozen) return;
    this.report.totals.freezes += 1;
    node.host.freeze();
    node.wellSince = Number.POSITIVE_INFINITY;
    const ms = this.#random.whole(50, 3 * this.#plan.leaseMs);
    this.report.trace(() => `${node.name} freezes for ${ms} ms`);
    this.#world.after(ms, () => { this.#thaw(node); });
  }

  #thaw(node: SimNode): void {
    if (!node.host.alive || !node.host.frozen) return;
    this.report.trace(() => `${node.name} thaws`);
    node.host.thaw();
    node.wellSince = this.#world.time;
  }

  async #shutDown(node: SimNode): Promise<void> {
    if (node.closing) return;
    node.closing = true;
    this.#watch.leaving(node.host);
    node.wellSince = Number.POSITIVE_INFINITY;
    this.report.totals.shutdowns += 1;
    this.report.trace(() => `${node.name} shuts down`);
    const wait = this.#random.chance(0.7);
    await node.scheduler.shutdown({ wait, timeout: this.#random.whole(0, 5_000) });
    if (!node.host.alive) return;
    node.events.audit();
    if (node.host.pendingTimers > this.#watch.alive().filter(({ host }) => host === node.host).length * 2 + 40) {
      this.report.broken('shutdown', `${node.name} left ${node.host.pendingTimers} timers behind`);
    }
    node.host.crash();
    this.report.trace(() => `${node.name} is down`);
    this.#boot(this.#machines.indexOf(node), this.#random.whole(100, 8_000));
  }

  async #takeBreak(node: SimNode): Promise<void> {
    if (!node.usable) return;
    node.wellSince = Number.POSITIVE_INFINITY;
    await node.scheduler.pause();
    this.report.trace(() => `${node.name} is paused`);
    this.#world.after(this.#random.whole(100, 10_000), () => {
      if (!node.host.alive || node.closing || node.scheduler.state !== 'paused') return;
      node.host.deliver(() => {
        void node.scheduler.resume().then(() => { node.wellSince = this.#world.time; });
      });
    });
  }

  #jump(node: SimNode): void {
    const { solo, ownClock } = this.#plan;
    if (!solo && !ownClock) return;
    this.report.totals.jumps += 1;
    const ms = this.#random.pick([-1, 1]) * this.#random.pick([500, 5_000, 40_000, 3_600_000]);
    this.report.trace(() => `the clock of ${node.name} jumps by ${ms} ms`);
    node.host.jump(ms);
  }

  // ── the store ──

  #outage(): void {
    this.report.totals.outages += 1;
    const ms = this.#random.whole(100, 12_000);
    this.report.trace(() => `the store is down for ${ms} ms`);
    this.#server.downUntil = this.#world.time + ms;
    for (const node of this.#nodes) if (node.wellSince !== Number.POSITIVE_INFINITY) node.wellSince = this.#world.time + ms + BACK_OFF_MS;
  }

  #cutOff(node: SimNode): void {
    this.report.totals.partitions += 1;
    const ms = this.#random.whole(100, 4 * this.#plan.leaseMs);
    this.report.trace(() => `${node.name} is cut off for ${ms} ms`);
    node.connection.cutOffUntil = this.#world.time + ms;
    if (node.wellSince !== Number.POSITIVE_INFINITY) node.wellSince = this.#world.time + ms + BACK_OFF_MS;
  }

  // ── the course of things ──

  /** Calls now and then, on average every `meanMs`, while there is trouble. */
  #again(meanMs: number, act: () => unknown): void {
    if (meanMs === Number.POSITIVE_INFINITY) return;
    this.#world.after(-Math.log(1 - this.#random.next()) * meanMs, () => {
      if (this.#healing) return;
      void act();
      this.#again(meanMs, act);
    });
  }

  /** Does something on a node that can do something. */
  #onSome(act: (node: SimNode) => unknown): void {
    const usable = this.#nodes.filter((node) => node.usable);
    if (usable.length > 0) void act(this.#random.pick(usable));
  }

  /** Somebody who is well must have seen to what is due (G3, G8). */
  #watchOver(): void {
    this.#world.after(5_000, () => {
      const { maxSleepMs, storeTimeoutMs, leaseMs } = this.#plan;
      const patience = maxSleepMs + 2 * storeTimeoutMs + (this.#healing ? 2_000 : 2 * storeTimeoutMs + 10_000) + leaseMs * 0.1;
      this.#checkOverdue(patience);
      this.#checkHeld();
      this.#checkAlarms();
      this.#watchOver();
    });
  }

  #checkOverdue(patienceMs: number): void {
    // By a clock that jumps, what is due now may be due again in an hour.
    if (this.#wildTime && !this.#healing) return;
    for (const record of this.#server.overdue(patienceMs)) {
      const { task, policy } = record.definition;
      const able = this.#nodes.find(
        (node) => node.usable && policy.executor === 'default' && node.tasks.includes(task) && this.#world.time - node.wellSince > patienceMs,
      );
      if (able !== undefined) this.report.broken('G3/G8', `${able.name} was well and left for ${patienceMs} ms: ${show(record)}`);
    }
  }

  /** What waits for a limit that has room is taken up by whoever put it off. */
  #checkHeld(): void {
    const { storeTimeoutMs, leaseMs } = this.#plan;
    if (this.#features.limits.length === 0 || this.#wildTime || !(this.#healing || isCalm(this.#plan))) return;
    const patience = 1.2 * leaseMs + storeTimeoutMs + 5_000;
    const isLookedAfter = ({ id }: JobRecord): boolean => {
      const node = this.#nodes.find(({ name }) => name === this.#server.putOffBy(id));
      return node?.usable === true && this.#world.time - node.wellSince > patience;
    };
    const record = this.#limitWatch.heldInVain(this.#server.records(), this.#world.time, patience, isLookedAfter);
    if (record !== undefined) this.report.broken('limits', `there is room, and this waits: ${show(record)}`);
  }

  /** Where nobody dies and no answer is lost, an alarm is raised in time. Else a node may not know of it for minutes. */
  #checkAlarms(): void {
    if (this.#wildTime || !isCalm(this.#plan) || this.#nodes.every(({ usable }) => !usable)) return;
    const record = this.#alarms.unsaid(this.#server.records(), this.#server.now() - ALARM_MS);
    if (record !== undefined) this.report.broken('alarms', `nobody has told that this is overdue: ${show(record)}`);
  }

  async #until(time: number): Promise<void> {
    await this.#world.runUntil(time, () => this.report.breach !== undefined || this.#world.steps > MOST_STEPS);
    if (this.#world.steps > MOST_STEPS) this.report.broken('G9', 'it does not come to rest');
  }

  /** The trouble is over, and everything finds its way back by itself. */
  async #heal(): Promise<void> {
    if (this.report.breach !== undefined) return;
    const { maxSleepMs, storeTimeoutMs, leaseMs } = this.#plan;
    this.report.trace(() => 'everything heals');
    this.#healing = true;
    this.#server.downUntil = 0;
    for (const node of this.#nodes) {
      node.connection.healed = true;
      node.connection.cutOffUntil = 0;
      this.#thaw(node);
      node.host.setRight();
      if (node.wellSince !== Number.POSITIVE_INFINITY) node.wellSince = this.#world.time + BACK_OFF_MS;
    }
    await this.#until(this.#world.time + BACK_OFF_MS + 20_000 + 2 * maxSleepMs + 4 * storeTimeoutMs + leaseMs);
    if (this.report.breach !== undefined) return;
    for (const node of this.#nodes) {
      if (!node.scheduler.health().ok) this.report.broken('G8', `${node.name} is not well: ${JSON.stringify(node.scheduler.health())}`);
    }
  }

  /** Every job is paused, what runs ends, and the books are checked. */
  async #quiesce(): Promise<void> {
    if (this.report.breach !== undefined) return;
    const [first] = this.#nodes;
    if (first === undefined) return;
    for (const id of this.#caller.ids) void this.#caller.pause(first, id);
    const { longestMs, leaseMs, maxSleepMs } = this.#plan;
    await this.#until(this.#world.time + longestMs + leaseMs + maxSleepMs + 15_000);
    if (this.report.breach !== undefined) return;
    for (const record of this.#server.records()) {
      for (const run of record.state.runs) {
        if (run.state === 'running') this.report.broken('G1', `a run nobody is at: ${show(record)}`);
      }
    }
    for (const node of this.#nodes) node.events.audit();
    let checked = false;
    void first.scheduler.verifyLedger().then(({ ok, problems }) => {
      checked = true;
      if (!ok) this.report.broken('G1', `the ledger does not add up: ${JSON.stringify(problems.slice(0, 3))}`);
    });
    await this.#until(this.#world.time + 5_000);
    if (!checked) this.report.broken('G1', 'verifyLedger() had no answer');
    this.#links.audit(this.#server.records(), this.#server.now() - TOLD_MS);
    await this.#close();
  }

  async #close(): Promise<void> {
    for (const node of this.#nodes) void node.scheduler.shutdown({ timeout: 1_000 });
    await this.#until(this.#world.time + 5_000);
    for (const node of this.#nodes) {
      if (node.scheduler.state !== 'stopped') this.report.broken('shutdown', `${node.name} is ${node.scheduler.state}`);
    }
  }
}
