/* stubs.c: weak stand-ins while modules are being written side by side; deleted when the last one lands. */
#include "pg/deployment.h"

#define STUB __attribute__((weak))
#define MISSING elog(ERROR, "%s is not written yet", __func__)

STUB bool deployment_judge(int64 a) { return false; }
STUB bool deployment_advance(int64 a) { return false; }
