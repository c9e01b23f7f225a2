/*
 * chart.h: small drawings made of characters, for terminals: a spark of values, a bar, an interval on an axis, the
 * steps of a rollout, and text cut to a width. Each has two alphabets, ASCII and UTF-8. Text is UTF-8; what is none
 * counts and shows as question marks.
 */
#ifndef CHART_H
#define CHART_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that a column takes at most. */
#define CHART_COLUMN 3
/* Steps that a track shows at most, and the columns around them. */
#define CHART_TRACK 10
#define CHART_TRACK_COLUMNS (CHART_TRACK + 2)

/* chart_width: columns that a terminal shows the text in: none for combining characters, two for East Asian wide ones.
 */
extern int chart_width(const char *text, size_t length);
/* chart_fit: the text in at most `width` columns (at least 1), what is cut off shown by a mark; characters that would
 * move the cursor or turn the direction of writing become question marks. Writes at most length + CHART_COLUMN bytes;
 * their number. */
extern size_t chart_fit(char *out, const char *text, size_t length, int width, bool unicode);
/* chart_spark: a column a value, as high as it is beside the highest; 0 is an underscore, NaN a blank. */
extern size_t chart_spark(char *out, const double *values, int n, bool unicode);
/* chart_bar: `width` columns, filled up to a fraction 0..1; more than none and less than all show as such. */
extern size_t chart_bar(char *out, double fraction, int width, bool unicode);
/* chart_interval: an interval and its estimate on an axis of `width` columns, zero marked where the axis has it. An end
 * beyond the axis is an arrow; of one that is NaN, or of an axis that has no length, only zero is drawn. */
extern size_t chart_interval(char *out, double low, double estimate, double high, double axis_low, double axis_high,
							 int width, bool unicode);
/* chart_track: a column a step, at most CHART_TRACK of them (more share columns): done, under way, to come. step counts
 * from 1; 0 is before the first, beyond the last all are done. */
extern size_t chart_track(char *out, int step, int steps, bool unicode);

#endif
