/* registry_backup.h: backups of the registry, for maintain(). Between mm_enter and mm_leave. */
#ifndef MM_REGISTRY_BACKUP_H
#define MM_REGISTRY_BACKUP_H

#include "pg/mm.h"

/* backup_due: backups are on, there is a directory, and its last file is older than the interval. */
extern bool backup_due(void);
/* backup_run: writes one, then removes the oldest beyond BACKUPS_KEPT; returns how many files it dealt with. */
extern int64 backup_run(void);

#endif
