// The connections, and the outcomes that wait to be sent: each arrives once, however often the database goes away.
import { randomUUID } from 'node:crypto';
import pg from 'pg';

// Where the database is say PGHOST, PGDATABASE, PGUSER, ... Nobody waits longer than these milliseconds, even when the server hangs.
export const pool = new pg.Pool({ max: 8, connectionTimeoutMillis: 250, query_timeout: 250, keepAlive: true });
pool.on('error', () => {}); // an idle connection broke: without a listener the process would end
const SEND = `WITH new AS (INSERT INTO outcome_batch VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1)
              SELECT model_mgr.record_outcomes($2, skip_bad => true) FROM new`;
const kept = []; // in memory: written to a file it would outlive the process
let batch = null;

export const keep = (outcome) => { kept.push({ recorded_at: new Date().toISOString(), ...outcome }); };

export const remaining = () => kept.length + (batch?.outcomes.length ?? 0);

/** Sends all that is kept; call it every second. A batch has one number until one commit holds both. */
export async function send(patience = 30) {
  while (batch || kept.length) {
    const mine = batch ??= { id: randomUUID(), outcomes: kept.splice(0, 1000) };
    await pool.query({ text: SEND, values: [mine.id, JSON.stringify(mine.outcomes)], query_timeout: patience * 1000 });
    if (batch === mine) batch = null;
  }
}
