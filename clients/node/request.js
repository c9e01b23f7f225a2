// One request: who serves, the call, the outcome; hours later the truth. Goes on while the database is away.
import { keep, pool } from './outcomes.js';

// The name has it prepared, once a connection; behind a transaction pooler that knows no prepared statements leave it out.
const ROUTE = { name: 'route', text: 'SELECT value, decision FROM model_mgr.route($1, $2)' };

/** What the model answers, and a ticket for truth(), to be stored with the answer. */
export async function answer(model, unit, call, fallback) {
  const { value, decision } = await pool.query({ ...ROUTE, values: [model, unit] }).then(({ rows }) => rows[0], (error) => {
    console.warn(`${model}: version ${fallback} serves, the database does not say: ${error.message}`);
    return {};
  });
  const began = performance.now();
  const reply = await call(value ?? fallback);
  const outcome = { recorded_at: new Date().toISOString(), response_time: (performance.now() - began) / 1000 };
  if (!decision) // nothing to feed back to: counted later, whole, by the version's name
    return { reply, ticket: { model_name: model, version: fallback, unit_id: unit, ...outcome } };
  keep({ decision, ...outcome });
  return { reply, ticket: { decision, feedback: true } };
}

export const truth = (ticket, good) => keep({ ...ticket, success: good });
