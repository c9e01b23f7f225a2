/**
 * OpenFeature provider for Node: a flag is a model of model_mgr, and route() resolves it.
 *
 * Flag key: model name. Targeting key: unit id. Other attributes of the evaluation context: the context that segments look at.
 * A string flag is the version that serves, an object flag that version's configuration; a boolean or number flag is
 * custom_parameters.value of its configuration. Reasons and error codes are route()'s, which are OpenFeature's.
 */
import { ErrorCode, OpenFeatureEventEmitter, ProviderEvents, StandardResolutionReasons } from '@openfeature/server-sdk';

const ROUTE = 'SELECT value, variant, reason, error_code, error_message, version_id, deployment_id, test_id, configuration, decision, '
  + 'shadow_version, shadow_decision FROM model_mgr.route($1, $2, $3)';
/** What goes along with each value, where it is known. */
const METADATA = ['version_id', 'deployment_id', 'test_id', 'decision', 'shadow_version', 'shadow_decision'];
/** Events that change what route() answers; alerts and the queue of updates do not. */
const CHANGES = /(?:^|\.)(?:version|model|deployment|test)\.[a-z_]+$/;
/** Of an outcome's details; all others are metrics. */
const OUTCOME_KEYS = ['response_time', 'confidence', 'cost', 'input_tokens', 'output_tokens', 'error_type'];

/**
 * @typedef {object} Options
 * @property {number} [timeout] milliseconds that an evaluation waits for the database (250)
 * @property {boolean} [requireTargetingKey] an evaluation without targeting key is an error (else such requests get the stable version)
 * @property {boolean | import('pg').ClientConfig} [listen] a connection of its own hears of changes; false: none; a configuration:
 *   where to connect to, when the pool leads to a transaction pooler, which does not pass notifications on (true: as the pool does)
 * @property {number} [retry] milliseconds after which a broken listening connection is made anew (1000)
 * @property {(outcome: object) => unknown} [record] takes what track() makes of an event, an element of record_outcomes();
 *   clients/node/outcomes.js has one that keeps outcomes while the database is away (else they are sent at once and lost with a warning)
 * @property {boolean} [prepare] route() is prepared in each connection (true); false behind poolers that know no prepared statements
 */

export class ModelMgrProvider {
  metadata = { name: 'model_mgr' };
  runsOn = 'server';
  events = new OpenFeatureEventEmitter();
  #pool;
  #options;
  #state = 'new'; // ready and away once the database has answered; closed
  #listener;
  #timer;
  #cursor;
  #reading = Promise.resolve();
  #pending = new Set();

  /**
   * @param {import('pg').Pool} pool with connectionTimeoutMillis; the application's, which ends it
   * @param {Options} [options]
   */
  constructor(pool, options = {}) {
    this.#pool = pool;
    this.#options = { timeout: 250, listen: true, retry: 1000, requireTargetingKey: false, prepare: true, ...options };
    this.#options.record ??= (outcome) => this.#query('SELECT model_mgr.record_outcomes($1)', [JSON.stringify([outcome])], 30000);
  }

  /** Fails when the database does not answer; evaluations then give their default values, until it does. */
  async initialize() {
    await this.#query('SELECT model_mgr.model_mgr_version()', []);
    this.#state = 'ready';
    if (this.#options.listen) await this.#listen();
  }

  async onClose() {
    this.#state = 'closed';
    clearTimeout(this.#timer);
    await Promise.allSettled([...this.#pending, this.#reading]);
    await this.#listener?.end().catch(() => {});
  }

  /** The version that serves. */
  resolveStringEvaluation(flagKey, defaultValue, context, logger) {
    return this.#resolve(flagKey, defaultValue, context, logger, (row) => row.value);
  }

  /** The configuration of the version that serves. */
  resolveObjectEvaluation(flagKey, defaultValue, context, logger) {
    return this.#resolve(flagKey, defaultValue, context, logger, (row) => row.configuration);
  }

  resolveBooleanEvaluation(flagKey, defaultValue, context, logger) {
    return this.#resolve(flagKey, defaultValue, context, logger, ({ configuration }) => configuration?.custom_parameters?.value);
  }

  resolveNumberEvaluation(flagKey, defaultValue, context, logger) {
    return this.#resolve(flagKey, defaultValue, context, logger, ({ configuration }) => configuration?.custom_parameters?.value);
  }

  /**
   * Records what came of an evaluation, by details.decision, which the evaluation's flagMetadata has. Event "outcome" is a request:
   * success and the other arguments of record_outcome(); any other event is feedback to one that is recorded: success, and a metric
   * of the event's name with details.value (1 without). Further numbers are metrics under their names.
   */
  track(trackingEventName, context, details = {}) {
    const { decision, success, value, recorded_at, ...rest } = details;
    if (typeof decision !== 'string') throw new TypeError(`tracking "${trackingEventName}" needs details.decision, from flagMetadata`);
    const outcome = { decision, recorded_at: (recorded_at instanceof Date ? recorded_at : new Date(recorded_at ?? Date.now())).toISOString() };
    const metrics = {};
    if (typeof success === 'boolean') outcome.success = success;
    if (trackingEventName === 'outcome') {
      for (const key of OUTCOME_KEYS) if (rest[key] !== undefined) outcome[key] = rest[key];
      if (value !== undefined) metrics.value = value;
    } else {
      outcome.feedback = true;
      if (trackingEventName !== 'feedback' || value !== undefined) metrics[trackingEventName] = value ?? 1;
    }
    for (const [key, number] of Object.entries(rest)) if (!(key in outcome) && typeof number === 'number') metrics[key] = number;
    if (Object.keys(metrics).length) outcome.metrics = metrics;
    const done = Promise.resolve(this.#options.record(outcome)).catch((error) => console.warn(`model_mgr: an outcome is lost: ${error.message}`));
    this.#pending.add(done);
    done.finally(() => this.#pending.delete(done));
  }

  #query(text, values, timeout = this.#options.timeout, name = undefined) {
    return this.#pool.query({ text, values, name, query_timeout: timeout });
  }

  async #resolve(flagKey, defaultValue, context = {}, logger, pick) {
    const failed = (errorCode, errorMessage) => ({ value: defaultValue, reason: StandardResolutionReasons.ERROR, errorCode, errorMessage });
    const { targetingKey, ...attributes } = context;
    if (targetingKey !== undefined && typeof targetingKey !== 'string') return failed(ErrorCode.INVALID_CONTEXT, 'the targeting key is no string');
    if (!targetingKey && this.#options.requireTargetingKey) return failed(ErrorCode.TARGETING_KEY_MISSING, `"${flagKey}" wants a targeting key, the unit's id`);
    let row;
    try {
      const values = [flagKey, targetingKey ?? null, JSON.stringify(attributes)];
      ({ rows: [row] } = await this.#query(ROUTE, values, this.#options.timeout, this.#options.prepare ? 'model_mgr_route' : undefined));
      this.#back();
    } catch (error) {
      // With a SQLSTATE of the server's own making it is there, and what was asked for is wrong: of classes 08, 53, 57 and 58 it is away.
      const here = /^[0-9A-Z]{5}$/.test(error.code ?? '') && !/^(08|53|57|58|XX)/.test(error.code);
      if (!here) this.#away(error);
      logger?.warn?.(`model_mgr: ${flagKey}: ${error.message}`);
      return failed(this.#state === 'new' ? ErrorCode.PROVIDER_NOT_READY : ErrorCode.GENERAL, error.message);
    }
    if (row.error_code) return failed(row.error_code in ErrorCode ? row.error_code : ErrorCode.GENERAL, row.error_message);
    if (row.value === null) return { value: defaultValue, reason: row.reason };
    const flagMetadata = { version: row.value };
    for (const key of METADATA) if (row[key] !== null) flagMetadata[key] = row[key];
    const value = pick(row);
    if (typeof value !== typeof defaultValue || value === null)
      return { ...failed(ErrorCode.TYPE_MISMATCH, `version ${row.value} of "${flagKey}" has no ${typeof defaultValue} to give`), flagMetadata };
    return { value, variant: row.variant, reason: row.reason, flagMetadata };
  }

  #away(error) {
    if (this.#state !== 'ready') return;
    this.#state = 'away';
    this.events.emit(ProviderEvents.Error, { message: error.message });
  }

  #back() {
    if (this.#state === 'ready' || this.#state === 'closed') return;
    this.#state = 'ready';
    this.events.emit(ProviderEvents.Ready);
    if (this.#options.listen && !this.#listener && !this.#timer) this.#relisten();
  }

  /** Hears of changes from now on. The notification is the reason to read on; nothing is skipped while the connection is away. */
  async #listen() {
    const { Client, options } = this.#pool;
    const client = new Client(typeof this.#options.listen === 'object' ? this.#options.listen : options);
    client.on('error', () => {});
    client.on('end', () => {
      if (this.#listener !== client) return;
      this.#listener = undefined;
      if (this.#state !== 'closed') this.#relisten();
    });
    client.on('notification', () => this.#readOn(client));
    try {
      await client.connect();
      await client.query('LISTEN model_mgr');
      if (this.#cursor === undefined) await this.#skipOld(client);
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
    if (this.#state === 'closed') await client.end();
    else this.#listener = client;
    this.#readOn(client);
  }

  #relisten() {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#listen().catch(() => { if (this.#state !== 'closed') this.#relisten(); });
    }, this.#options.retry);
    this.#timer.unref();
  }

  /** What happened before the provider began changes nothing for it. */
  async #skipOld(client) {
    this.#cursor = '';
    while ((await this.#page(client)).length > 0);
  }

  async #page(client) {
    const { rows } = await client.query('SELECT cursor, type, model_name FROM model_mgr.events_since($1)', [this.#cursor]);
    if (rows.length) this.#cursor = rows[rows.length - 1].cursor;
    return rows;
  }

  #readOn(client) {
    this.#reading = this.#reading.then(async () => {
      const changed = new Set();
      let rows;
      do {
        rows = await this.#page(client);
        for (const { type, model_name } of rows) if (CHANGES.test(type) && model_name) changed.add(model_name);
      } while (rows.length);
      if (changed.size && this.#state !== 'closed')
        this.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: [...changed], message: 'who serves may have changed' });
    }).catch(() => {}); // a connection that broke: its successor reads on from the same cursor
  }
}
