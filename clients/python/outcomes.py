"""The connections, and the outcomes that wait to be sent: each arrives once, however often the database goes away."""
import threading
import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from datetime import datetime, timezone
import psycopg
from psycopg.types.json import Jsonb

# Where the database is say PGHOST, PGDATABASE, PGUSER, ... A dead host is given up after seconds, not minutes.
CONNECTION = "connect_timeout=2 tcp_user_timeout=5000 keepalives_idle=5 keepalives_interval=2 keepalives_count=2"
SEND = """WITH new AS (INSERT INTO outcome_batch VALUES (%s) ON CONFLICT DO NOTHING RETURNING 1)
          SELECT model_mgr.record_outcomes(%s, skip_bad => true) FROM new"""
AWAY = (psycopg.Error, TimeoutError)
workers, here, sending = ThreadPoolExecutor(8), threading.local(), threading.Lock()
kept, batch = deque(maxlen=100_000), []     # in memory: written to a file it would outlive the process

def ask(wait, sql, *values):
    """The row that the database answers; one of AWAY after `wait` seconds at the latest, even when the server hangs."""
    def run():                              # each worker has a connection, which prepares what it has run five times;
        for fresh in (False, True):         # behind a transaction pooler add prepare_threshold=None
            try:
                if not hasattr(here, "db") or here.db.closed:
                    here.db = psycopg.connect(CONNECTION, autocommit=True)
                return here.db.execute(sql, values).fetchone()
            except psycopg.OperationalError:                # one that broke while nobody used it is made anew
                if fresh or not (hasattr(here, "db") and here.db.closed):
                    raise
    future = workers.submit(run)
    try:
        return future.result(wait)
    finally:
        future.cancel()                     # what has not begun by now is not wanted any more

def now():
    return datetime.now(timezone.utc).isoformat()

def keep(**outcome):
    kept.append({"recorded_at": now(), **outcome})

def send(patience=30):
    """Sends all that is kept; call it every second. A batch has one number until one commit holds both."""
    with sending:
        while batch or kept:
            if not batch:
                batch.extend((uuid.uuid4(), [kept.popleft() for _ in range(min(len(kept), 1000))]))
            ask(patience, SEND, batch[0], Jsonb(batch[1]))
            batch.clear()
