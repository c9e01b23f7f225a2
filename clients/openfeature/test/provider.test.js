// The provider under the real SDK, against a live database with the extension (PGHOST, PGDATABASE, ...). Tests of what happens
// while the server is down stop and start it with the commands in SERVER_STOP and SERVER_START.
import assert from 'node:assert/strict';
import { execSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { OpenFeature, ProviderEvents, ProviderStatus } from '@openfeature/server-sdk';
import pg from 'pg';
import { ModelMgrProvider } from '../index.js';

const options = { max: 4, connectionTimeoutMillis: 250 };
const pool = new pg.Pool(options);
pool.on('error', () => {});
const sql = async (text, values) => (await pool.query(text, values)).rows;
const ODD = 'o\'clf "x" <script> ümlaut';
/** The next event of a kind, as a promise; a test that waits in vain is ended by the runner. */
const next = (client, event) => new Promise((resolve) => {
  const handler = (details) => { client.removeHandler(event, handler); resolve(details); };
  client.addHandler(event, handler);
});
const version = (model, name, value) => sql('SELECT version FROM model_mgr.create_model_version($1, $2, $3)',
  [model, name, { provider: 'test', model_name: 'm', temperature: 0.5, custom_parameters: value === undefined ? {} : { value } }]);
const deploy = (model, name, rest = '') => sql(`SELECT deployment_id FROM model_mgr.deploy_model_version($1, $2 ${rest})`, [model, name]);
const HALF = ", traffic_percentage => 50, rollout => '{\"steps\": [50, 100], \"step_seconds\": 86400}'";
let client;

before(async () => {
  for (const model of ['spam', ODD]) {
    await version(model, '1.0.0');
    await version(model, '2.0.0');
    await deploy(model, '1.0.0');
  }
  for (const [name, value] of [['off', false], ['on', true]]) await version('new-page', name, value);
  await deploy('new-page', 'off');
  await version('page-size', 'small', 20);
  await deploy('page-size', 'small');
  await version('idle', '1.0.0');
  await OpenFeature.setProviderAndWait(new ModelMgrProvider(pool, { retry: 20 }));
  client = OpenFeature.getClient();
});
after(async () => {
  await OpenFeature.close();
  await pool.end();
});

test('values of all types, with the reason and what goes along', async () => {
  const details = await client.getStringDetails('spam', 'none', { targetingKey: 'user-1' });
  assert.equal(details.value, '1.0.0');
  assert.equal(details.reason, 'STATIC');
  assert.equal(details.variant, 'stable');
  assert.equal(details.errorCode, undefined);
  assert.equal(details.flagMetadata.version, '1.0.0');
  assert.ok(details.flagMetadata.version_id && details.flagMetadata.decision);
  assert.deepEqual((await client.getObjectValue('spam', {}, { targetingKey: 'user-1' })).model_name, 'm');
  assert.equal(await client.getBooleanValue('new-page', true, { targetingKey: 'user-1' }), false);
  assert.equal(await client.getNumberValue('page-size', 5, { targetingKey: 'user-1' }), 20);
  assert.equal(await client.getStringValue(ODD, 'none', { targetingKey: ODD }), '1.0.0');
});

test('errors give the default value and their code', async () => {
  const unknown = await client.getStringDetails('nothing', 'default', { targetingKey: 'u' });
  assert.deepEqual([unknown.value, unknown.reason, unknown.errorCode], ['default', 'ERROR', 'FLAG_NOT_FOUND']);
  const disabled = await client.getStringDetails('idle', 'default', { targetingKey: 'u' });
  assert.deepEqual([disabled.value, disabled.reason, disabled.errorCode], ['default', 'DISABLED', undefined]);
  const type = await client.getBooleanDetails('page-size', true, { targetingKey: 'u' });
  assert.deepEqual([type.value, type.reason, type.errorCode], [true, 'ERROR', 'TYPE_MISMATCH']);
  assert.equal((await client.getNumberDetails('spam', 7, { targetingKey: 'u' })).errorCode, 'TYPE_MISMATCH');
  const context = await client.getStringDetails('spam', 'default', { targetingKey: 7 });
  assert.deepEqual([context.value, context.errorCode], ['default', 'INVALID_CONTEXT']);
});

test('a missing targeting key is an error only where it is required', async () => {
  assert.equal((await client.getStringDetails('spam', 'default')).value, '1.0.0');
  await OpenFeature.setProviderAndWait('strict', new ModelMgrProvider(pool, { requireTargetingKey: true, listen: false, prepare: false }));
  const strict = await OpenFeature.getClient('strict').getStringDetails('spam', 'default', { country: 'DE' });
  assert.deepEqual([strict.value, strict.errorCode], ['default', 'TARGETING_KEY_MISSING']);
  assert.equal(await OpenFeature.getClient('strict').getStringValue('spam', 'default', { targetingKey: 'u' }), '1.0.0');
});

test('attributes are what segments look at', async () => {
  await sql(`SELECT model_mgr.set_segment($1, 'adults', '{"country": "DE", "age": {">=": 18}}', '2.0.0')`, [ODD]);
  const details = await client.getStringDetails(ODD, 'none', { targetingKey: 'u', country: 'DE', age: 18, since: new Date(0) });
  assert.deepEqual([details.value, details.reason, details.variant], ['2.0.0', 'TARGETING_MATCH', 'segment']);
  assert.equal(await client.getStringValue(ODD, 'none', { targetingKey: 'u', country: 'DE', age: 17 }), '1.0.0');
});

test('a change reaches the application by the tick\'s notification', async () => {
  await sql('SELECT count(*) FROM model_mgr.tick()'); // what happened so far has been told
  const changed = next(client, ProviderEvents.ConfigurationChanged);
  await deploy('spam', '2.0.0', HALF);
  await sql('SELECT count(*) FROM model_mgr.tick()');
  assert.ok((await changed).flagsChanged.includes('spam'));
});

test('a rollout splits the units as route() does', async () => {
  const expected = await sql("SELECT unit, model_mgr.route_version('spam', unit) AS version FROM (SELECT 'user-' || i AS unit FROM generate_series(1, 40) i) u");
  for (const { unit, version: wanted } of expected) {
    const details = await client.getStringDetails('spam', 'none', { targetingKey: unit });
    assert.deepEqual([details.value, details.reason, details.variant], [wanted, 'SPLIT', wanted === '2.0.0' ? 'candidate' : 'stable']);
    assert.ok(details.flagMetadata.deployment_id);
  }
  assert.equal(new Set(expected.map((row) => row.version)).size, 2);
  assert.equal((await client.getStringDetails('spam', 'none')).reason, 'DEFAULT');
});

test('tracking records outcomes and feedback by the decision', async () => {
  const provider = new ModelMgrProvider(pool, { listen: false });
  await OpenFeature.setProviderAndWait('tracked', provider);
  const tracked = OpenFeature.getClient('tracked');
  const { flagMetadata } = await tracked.getStringDetails('spam', 'none', { targetingKey: 'user-1' });
  const { decision } = flagMetadata;
  tracked.track('outcome', {}, { decision, response_time: 0.25, input_tokens: 12, quality: 0.5, recorded_at: new Date() });
  tracked.track('feedback', {}, { decision, success: true });
  tracked.track('clicks', {}, { decision, value: 3 });
  tracked.track('lost', {}, {}); // no decision: the SDK logs it, the application goes on
  await provider.onClose(); // waits for what is on its way
  const rows = await sql(`SELECT feedback, success, response_time, input_tokens::int, metrics, version_id::text AS version_id
    FROM model_mgr.observation ORDER BY feedback, metrics IS NOT NULL`);
  assert.deepEqual(rows.map(({ version_id, ...row }) => row), [
    { feedback: false, success: null, response_time: 0.25, input_tokens: 12, metrics: { quality: 0.5 } },
    { feedback: true, success: true, response_time: null, input_tokens: null, metrics: null },
    { feedback: true, success: null, response_time: null, input_tokens: null, metrics: { clicks: 3 } },
  ]);
  assert.ok(rows.every(({ version_id }) => version_id === String(flagMetadata.version_id)));
});

test('while the server is down defaults serve; then it goes on, and no change is missed', async () => {
  const failed = next(client, ProviderEvents.Error);
  execSync(process.env.SERVER_STOP);
  const details = await client.getStringDetails('new-page', 'default', { targetingKey: 'u' });
  assert.deepEqual([details.value, details.reason, details.errorCode], ['default', 'ERROR', 'GENERAL']);
  await failed;
  assert.equal(client.providerStatus, ProviderStatus.ERROR);
  // A provider that has never had an answer is not ready.
  const late = new ModelMgrProvider(pool, { retry: 20 });
  await assert.rejects(OpenFeature.setProviderAndWait('late', late));
  assert.equal((await OpenFeature.getClient('late').getStringDetails('spam', 'default', { targetingKey: 'u' })).errorCode, 'PROVIDER_NOT_READY');

  // Both are heard of: what changed before the provider listens again, too.
  const ready = next(client, ProviderEvents.Ready);
  const changed = next(client, ProviderEvents.ConfigurationChanged);
  execSync(process.env.SERVER_START);
  await deploy('new-page', 'on', ", strategy => 'replace'");
  await sql('SELECT count(*) FROM model_mgr.tick()');
  while (client.providerStatus !== ProviderStatus.READY) await client.getBooleanValue('new-page', false, { targetingKey: 'u' });
  await ready;
  assert.ok((await changed).flagsChanged.includes('new-page'));
  assert.equal(await client.getBooleanValue('new-page', false, { targetingKey: 'u' }), true);
  assert.equal(await OpenFeature.getClient('late').getStringValue('spam', 'default'), '1.0.0');
});
