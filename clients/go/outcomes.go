// The connections, and the outcomes that wait to be sent: each arrives once, however often the database goes away.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v4/pgxpool" // of version 5: the same calls, and pgxpool.New() in place of connect()
)

const sendBatch = `WITH new AS (INSERT INTO outcome_batch VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1)
	SELECT model_mgr.record_outcomes($2, skip_bad => true) FROM new`

type outcome map[string]interface{}

var (
	pool          *pgxpool.Pool // it prepares by itself; behind a transaction pooler set PreferSimpleProtocol
	guard, sender sync.Mutex
	kept, batch   []outcome // in memory: written to a file it would outlive the process
	batchID       string
)

// connect: where the database is say PGHOST, PGDATABASE, PGUSER, ...; it may be away.
func connect() (err error) {
	config, err := pgxpool.ParseConfig("connect_timeout=2")
	if err == nil {
		config.LazyConnect = true
		pool, err = pgxpool.ConnectConfig(context.Background(), config)
	}
	return err
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

func keep(o outcome) {
	if o["recorded_at"] == nil {
		o["recorded_at"] = now()
	}
	guard.Lock()
	defer guard.Unlock()
	kept = append(kept, o)
}

// next: the batch that has not arrived, else a new one of what is kept.
func next() bool {
	guard.Lock()
	defer guard.Unlock()
	if len(batch) == 0 && len(kept) > 0 {
		size := len(kept)
		if size > 1000 {
			size = 1000
		}
		var number [16]byte
		_, _ = rand.Read(number[:])
		batchID, batch, kept = fmt.Sprintf("%x", number), kept[:size:size], kept[size:]
	}
	return len(batch) > 0
}

// send sends all that is kept; call it every second, with half a minute's patience. A batch has one number until one commit holds both.
func send(patience time.Duration) error {
	sender.Lock()
	defer sender.Unlock()
	for next() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := pool.Exec(ctx, sendBatch, batchID, batch)
		cancel()
		if err != nil {
			return err
		}
		batch = nil
	}
	return nil
}
