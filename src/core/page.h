/*
 * page.h: what a report is framed by: the head with its style (no script, nothing from elsewhere), and the end.
 */
#ifndef CORE_PAGE_H
#define CORE_PAGE_H

#include "core/html.h"

/* page_style: the style sheet (light, dark, narrow and on paper), in parts from 0; NULL behind the last. */
extern const char *page_style(int part);
/* page_begin: up to the first heading, which is `title` (UTF-8 from outside); `kind` as in "Model". */
extern void page_begin(html *to, const char *kind, const char *title);
/* page_end: closes what page_begin opened. `made`: seconds since 1970. */
extern void page_end(html *to, const char *version, double made);

#endif
