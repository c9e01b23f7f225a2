-- schema.sql: the mails, the order in which they arrive, and what became of them. Run in this directory.

CREATE SCHEMA demo;

-- The columns of spam.csv in its order; shares in percent, runs of capital letters in characters.
CREATE TABLE demo.mail (
    "make" float8 NOT NULL, "address" float8 NOT NULL, "all" float8 NOT NULL, "num3d" float8 NOT NULL,
    "our" float8 NOT NULL, "over" float8 NOT NULL, "remove" float8 NOT NULL, "internet" float8 NOT NULL,
    "order" float8 NOT NULL, "mail" float8 NOT NULL, "receive" float8 NOT NULL, "will" float8 NOT NULL,
    "people" float8 NOT NULL, "report" float8 NOT NULL, "addresses" float8 NOT NULL, "free" float8 NOT NULL,
    "business" float8 NOT NULL, "email" float8 NOT NULL, "you" float8 NOT NULL, "credit" float8 NOT NULL,
    "your" float8 NOT NULL, "font" float8 NOT NULL, "num000" float8 NOT NULL, "money" float8 NOT NULL,
    "hp" float8 NOT NULL, "hpl" float8 NOT NULL, "george" float8 NOT NULL, "num650" float8 NOT NULL,
    "lab" float8 NOT NULL, "labs" float8 NOT NULL, "telnet" float8 NOT NULL, "num857" float8 NOT NULL,
    "data" float8 NOT NULL, "num415" float8 NOT NULL, "num85" float8 NOT NULL, "technology" float8 NOT NULL,
    "num1999" float8 NOT NULL, "parts" float8 NOT NULL, "pm" float8 NOT NULL, "direct" float8 NOT NULL,
    "cs" float8 NOT NULL, "meeting" float8 NOT NULL, "original" float8 NOT NULL, "project" float8 NOT NULL,
    "re" float8 NOT NULL, "edu" float8 NOT NULL, "table" float8 NOT NULL, "conference" float8 NOT NULL,
    "char_semicolon" float8 NOT NULL, "char_roundbracket" float8 NOT NULL, "char_squarebracket" float8 NOT NULL,
    "char_exclamation" float8 NOT NULL, "char_dollar" float8 NOT NULL, "char_hash" float8 NOT NULL,
    "capital_ave" float8 NOT NULL, "capital_long" float8 NOT NULL, "capital_total" float8 NOT NULL,
    label text NOT NULL CHECK (label IN ('spam', 'nonspam'))
);
\copy demo.mail FROM 'spam.csv' WITH (FORMAT csv, HEADER)
-- Numbered in the order of the file; the unit that route() hashes is 'mail-<mail_id>'.
ALTER TABLE demo.mail ADD COLUMN mail_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
COMMENT ON TABLE demo.mail IS 'Spambase: 4,601 e-mails, 57 features, label. CC BY 4.0, see demo/README.md.';

-- spam.csv is sorted by label; mail arrives mixed, and in the same order in every run.
CREATE VIEW demo.arrival AS
SELECT pg_catalog.row_number() OVER (ORDER BY pg_catalog.md5(m.mail_id::text)) AS arrival, m.mail_id
FROM demo.mail m;

-- What became of every mail. Half of the labels are late: they come a round after the answer.
CREATE TABLE demo.answer (
    mail_id integer PRIMARY KEY REFERENCES demo.mail,
    version text NOT NULL,
    decision text NOT NULL,
    spam boolean NOT NULL,
    right_answer boolean NOT NULL,
    late boolean NOT NULL,
    labelled boolean NOT NULL,              -- the model manager knows whether the answer was right
    served_at timestamptz NOT NULL
);
