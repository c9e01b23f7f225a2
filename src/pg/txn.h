/* txn.h: the key of the current transaction in observation.txn and audit_log.txn: era << 48 | full transaction id. */
#ifndef MM_TXN_H
#define MM_TXN_H

#include "pg/mm.h"

/* txn_key: assigns a transaction id when there is none yet. Needs no rights, no SPI and takes no heavyweight lock on a
 * hit. */
extern int64 txn_key(void);
/* txn_era: the era in its place, era << 48; assigns no transaction id. */
extern int64 txn_era(void);

#endif
