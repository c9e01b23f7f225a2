-- example.sql: a small registry in the layout of MLflow 2.x on PostgreSQL, to try import.sql on:
--   psql -d mydb -v schema=mlflow -f clients/mlflow/example.sql
-- Tables that the import does not read (experiments, inputs, traces, ...) are left out, and so are references to them.
\set ON_ERROR_STOP on
\if :{?schema}
\else
	\set schema public
\endif
BEGIN;
CREATE SCHEMA IF NOT EXISTS :"schema";
SET LOCAL search_path = :"schema";

CREATE TABLE registered_models (
	name varchar(256) PRIMARY KEY,
	creation_time bigint,
	last_updated_time bigint,
	description varchar(5000)
);
CREATE TABLE registered_model_tags (
	key varchar(250) NOT NULL,
	value varchar(5000),
	name varchar(256) NOT NULL REFERENCES registered_models ON UPDATE CASCADE,
	PRIMARY KEY (key, name)
);
CREATE TABLE registered_model_aliases (
	alias varchar(256) NOT NULL,
	version integer NOT NULL,
	name varchar(256) NOT NULL REFERENCES registered_models ON UPDATE CASCADE ON DELETE CASCADE,
	PRIMARY KEY (name, alias)
);
CREATE TABLE model_versions (
	name varchar(256) NOT NULL REFERENCES registered_models ON UPDATE CASCADE,
	version integer NOT NULL,
	creation_time bigint,
	last_updated_time bigint,
	description varchar(5000),
	user_id varchar(256),
	current_stage varchar(20),
	source varchar(500),
	run_id varchar(32),
	status varchar(20),
	status_message varchar(500),
	run_link varchar(500),
	storage_location varchar(500),
	PRIMARY KEY (name, version)
);
CREATE TABLE model_version_tags (
	key varchar(250) NOT NULL,
	value varchar(5000),
	name varchar(256) NOT NULL,
	version integer NOT NULL,
	PRIMARY KEY (key, name, version),
	FOREIGN KEY (name, version) REFERENCES model_versions ON UPDATE CASCADE
);
CREATE TABLE runs (
	run_uuid varchar(32) PRIMARY KEY,
	name varchar(250),
	source_type varchar(20) CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')),
	source_name varchar(500),
	entry_point_name varchar(50),
	user_id varchar(256),
	status varchar(9) CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED')),
	start_time bigint,
	end_time bigint,
	source_version varchar(50),
	lifecycle_stage varchar(20) CHECK (lifecycle_stage IN ('active', 'deleted')),
	artifact_uri varchar(200),
	experiment_id integer,
	deleted_time bigint
);
CREATE TABLE params (
	key varchar(250) NOT NULL,
	value varchar(8000) NOT NULL,
	run_uuid varchar(32) NOT NULL REFERENCES runs,
	PRIMARY KEY (key, run_uuid)
);
CREATE TABLE latest_metrics (
	key varchar(250) NOT NULL,
	value double precision NOT NULL,
	"timestamp" bigint,
	step bigint NOT NULL,
	is_nan boolean NOT NULL,
	run_uuid varchar(32) NOT NULL REFERENCES runs,
	PRIMARY KEY (key, run_uuid)
);

INSERT INTO registered_models VALUES ('churn', 1735732800000, 1738411200000, 'Who leaves next month'), ('pricing', 1735819200000, 1735819200000, NULL);
INSERT INTO registered_model_tags VALUES ('team', 'growth', 'churn');
INSERT INTO runs VALUES
	('a1f0', 'first', 'JOB', 'train.py', 'main', 'alice', 'FINISHED', 1735732000000, 1735732700000, 'c0ffee', 'active', 's3://models/7/a1f0/artifacts', 7, NULL),
	('b2e1', 'second', 'JOB', 'train.py', 'main', 'bob', 'FINISHED', 1738410000000, 1738411100000, 'decade', 'active', 's3://models/7/b2e1/artifacts', 7, NULL);
INSERT INTO params VALUES ('max_depth', '6', 'a1f0'), ('max_depth', '8', 'b2e1'), ('eta', '0.1', 'b2e1'), ('warehouse_password', 'hunter2', 'b2e1');
INSERT INTO latest_metrics VALUES ('auc', 0.81, 1735732600000, 0, false, 'a1f0'), ('auc', 0.84, 1738411000000, 0, false, 'b2e1'), ('gini', 0, 1738411000000, 0, true, 'b2e1');
INSERT INTO model_versions VALUES
	('churn', 1, 1735732800000, 1738411200000, 'the baseline', 'alice', 'Archived', 'runs:/a1f0/model', 'a1f0', 'READY', NULL, NULL, NULL),
	('churn', 2, 1738411200000, 1738411200000, 'deeper trees', 'bob', 'Production', 'runs:/b2e1/model', 'b2e1', 'READY', NULL, NULL, NULL),
	('churn', 3, 1738497600000, 1738497600000, NULL, 'bob', 'Staging', 's3://elsewhere/churn3', NULL, 'READY', NULL, NULL, 's3://registry/churn/3'),
	('churn', 4, 1738584000000, 1738584000000, NULL, 'bob', 'None', 's3://elsewhere/churn4', NULL, 'PENDING_REGISTRATION', NULL, NULL, NULL),
	('pricing', 1, 1735819200000, 1735819200000, NULL, NULL, 'None', 's3://elsewhere/pricing', NULL, 'FAILED_REGISTRATION', 'no such bucket', NULL, NULL);
INSERT INTO model_version_tags VALUES ('reviewed', 'yes', 'churn', 2);
INSERT INTO registered_model_aliases VALUES ('champion', 2, 'churn'), ('stable', 1, 'churn');
COMMIT;
