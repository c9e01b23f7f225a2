/*
 * plot_inside.h: what the kinds of plots share. For plot*.c alone.
 */
#ifndef CORE_PLOT_INSIDE_H
#define CORE_PLOT_INSIDE_H

#include "core/plot.h"

/* plot_begin: the drawing with its title and description; `</svg>` ends it. */
extern void plot_begin(html *to, const char *id, const char *title, const char *summary, int height);
/* plot_tick_label: a value with as many decimals as tell ticks apart. */
extern void plot_tick_label(html *to, double value, int decimals, plot_unit unit);

#endif
