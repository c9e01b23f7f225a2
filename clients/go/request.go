// One request: who serves, the call, the outcome; hours later the truth. Goes on while the database is away.
package main

import (
	"context"
	"log"
	"time"
)

const route = "SELECT coalesce(value, $3), coalesce(decision, '') FROM model_mgr.route($1, $2)"

// answer is what the model answers, and a ticket for truth, to be stored with the answer.
func answer(model, unit string, call func(version string) string, fallback string) (string, outcome) {
	version, decision := fallback, ""
	ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
	defer cancel()
	if err := pool.QueryRow(ctx, route, model, unit, fallback).Scan(&version, &decision); err != nil {
		log.Printf("%s: version %s serves, the database does not say: %v", model, fallback, err)
	}
	began := time.Now()
	reply := call(version)
	done := outcome{"recorded_at": now(), "response_time": time.Since(began).Seconds()}
	if decision == "" { // nothing to feed back to: counted later, whole, by the version's name
		done["model_name"], done["version"], done["unit_id"] = model, version, unit
		return reply, done
	}
	done["decision"] = decision
	keep(done)
	return reply, outcome{"decision": decision, "feedback": true}
}

func truth(ticket outcome, good bool) {
	ticket["success"] = good
	keep(ticket)
}
