/* guc.h: definition of the settings; their values are in mm.h. */
#ifndef MM_GUC_H
#define MM_GUC_H

extern void guc_define(void);

#endif
