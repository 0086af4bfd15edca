"""One sample of APScheduler 3 on SQLite: apscheduler_sqlite.py run|add <jobs> <path> wal|default. Prints it as JSON."""

import json
import logging
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import create_engine, event


def noop():
    pass


def main(what, jobs, path, settings):
    logging.disable(logging.WARNING)
    engine = create_engine("sqlite:///" + path)

    if settings == "wal":

        @event.listens_for(engine, "connect")
        def _pragmas(connection, _record):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(engine=engine)},
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        timezone=timezone.utc,
    )
    ended = [0, 0]
    done = threading.Event()

    def heard(happened):
        ended[0 if happened.code == EVENT_JOB_EXECUTED else 1] += 1
        if sum(ended) == jobs:
            done.set()

    scheduler.add_listener(heard, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED)
    scheduler.start(paused=True)
    first = datetime.now(timezone.utc) + (timedelta(hours=1) if what == "add" else timedelta(0))
    start = time.perf_counter()
    for i in range(jobs):
        scheduler.add_job("__main__:noop", "interval", hours=1, next_run_time=first, id="job-%d" % i)
    if what == "run":
        start = time.perf_counter()
        scheduler.resume()
        if not done.wait(600):
            raise SystemExit("it takes too long")
        if ended[1]:
            raise SystemExit("%d runs failed" % ended[1])
    seconds = time.perf_counter() - start
    scheduler.shutdown()
    print(json.dumps({"perSecond": jobs / seconds, "ms": seconds * 1000}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
