"""driver.py: clients/python (request.py, outcomes.py) as the test drives it: a command a line on standard input, one line of answer."""
import sys
import outcomes
from request import answer, truth

tickets = []
for line in sys.stdin:
    command, *words = line.split()
    if command == "serve":
        units = range(int(words[0]), int(words[1]) + 1)
        served = [answer("spam", "unit %d" % unit, lambda version: version, "1.0.0") for unit in units]
        tickets += [ticket for _, ticket in served]
        print("served", len(served), "without", sum("decision" not in ticket for _, ticket in served),
              "by", ",".join(sorted({reply for reply, _ in served})), flush=True)
    elif command == "truth":
        for ticket in tickets:
            truth(ticket, True)
        print("told", len(tickets), flush=True)
        tickets = []
    elif command == "send":
        try:
            outcomes.send(float(words[0]) if words else 60)
        except outcomes.AWAY:
            pass
        print("kept", len(outcomes.kept) + (len(outcomes.batch[1]) if outcomes.batch else 0), flush=True)
    elif command == "quit":
        print("bye", flush=True)
        break
