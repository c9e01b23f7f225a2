"""One request: who serves, the call, the outcome; hours later the truth. Goes on while the database is away."""
import logging
import time
from outcomes import AWAY, ask, keep, now   # outcomes.py, beside this file

def answer(model, unit, call, fallback):
    """What the model answers, and a ticket for truth(), to be stored with the answer."""
    try:
        version, decision = ask(0.25, "SELECT value, decision FROM model_mgr.route(%s, %s)", model, unit)
    except AWAY as error:
        logging.warning("%s: version %s serves, the database does not say: %s", model, fallback, error)
        version, decision = None, None
    began = time.monotonic()
    reply = call(version or fallback)
    outcome = {"recorded_at": now(), "response_time": time.monotonic() - began}
    if not decision:                        # nothing to feed back to: counted later, whole, by the version's name
        return reply, {"model_name": model, "version": fallback, "unit_id": unit, **outcome}
    keep(decision=decision, **outcome)
    return reply, {"decision": decision, "feedback": True}

def truth(ticket, good):
    keep(**ticket, success=good)
