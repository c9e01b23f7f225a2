/*
 * module.c: the library's front door: magic, initialisation, version.
 */
#include "pg/mm.h"

#include "pg/guc.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = "model_mgr", .version = MODEL_MGR_VERSION);
#else
PG_MODULE_MAGIC;
#endif

extern PGDLLEXPORT void _PG_init(void);

/* _PG_init: settings only; nothing needs shared memory or preloading. */
void
_PG_init(void)
{
	guc_define();
}

MM_FUNCTION(mm_model_mgr_version);

Datum
mm_model_mgr_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MODEL_MGR_VERSION));
}
