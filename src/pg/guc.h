/* guc.h: definition of the settings; their values are in mm.h. */
#ifndef MM_GUC_H
#define MM_GUC_H

/* model_mgr.chart_charset: auto is unicode where server and client are UTF-8. */
enum
{
	CHART_CHARSET_AUTO,
	CHART_CHARSET_ASCII,
	CHART_CHARSET_UNICODE
};
extern int guc_chart_charset;

extern void guc_define(void);

#endif
