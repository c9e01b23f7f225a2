// An application that knows OpenFeature and nothing of models: which version serves, and what came of it.
import { OpenFeature } from '@openfeature/server-sdk';
import pg from 'pg';
import { ModelMgrProvider } from './index.js';

const pool = new pg.Pool({ connectionTimeoutMillis: 250 }); // where the database is say PGHOST, PGDATABASE, ...
pool.on('error', () => {});
const provider = new ModelMgrProvider(pool);
await OpenFeature.setProviderAndWait(provider).catch(() => {}); // defaults serve until the database answers
const flags = OpenFeature.getClient();

const served = await flags.getStringDetails('spam', '1.0.0', { targetingKey: 'user-42', country: 'DE' });
console.log(`version ${served.value} serves: ${served.reason}`);
const { decision } = served.flagMetadata;
if (decision) {
  flags.track('outcome', {}, { decision, response_time: 0.21 });
  flags.track('feedback', {}, { decision, success: true }); // hours later, from any process that kept the decision
}
await OpenFeature.close(); // at the end: what track() has begun is finished
await pool.end();
