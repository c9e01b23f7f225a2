/*
 * vectors.h: reads the reference numbers of test/vectors (CSV with a header row, quoted fields allowed) for the unit
 * tests of the statistics. Test programs run in the top directory.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTORS_COLUMNS 16

typedef struct vectors
{
	FILE *file;
	int columns;
	int line;
	char *name[VECTORS_COLUMNS];
	char *field[VECTORS_COLUMNS];
	char header[1024];
	char row[65536];
} vectors;

/* vectors_split: cuts a line at its commas, in place; doubles of quotes do not occur. */
static inline int
vectors_split(char *line, char **field)
{
	int n = 0;

	line[strcspn(line, "\r\n")] = 0;
	while (n < VECTORS_COLUMNS)
	{
		if (*line == '"')
		{
			field[n++] = ++line;
			line += strcspn(line, "\"");
			if (*line)
				*line++ = 0;
		}
		else
		{
			field[n++] = line;
			line += strcspn(line, ",");
		}
		if (*line == 0)
			break;
		*line++ = 0;
	}
	return n;
}

static inline vectors *
vectors_open(const char *name)
{
	vectors *v = calloc(1, sizeof(vectors));
	char path[256];

	snprintf(path, sizeof(path), "test/vectors/%s.csv", name);
	v->file = fopen(path, "r");
	if (v->file == NULL || fgets(v->header, sizeof(v->header), v->file) == NULL)
	{
		printf("%s cannot be read\n", path);
		exit(1);
	}
	v->columns = vectors_split(v->header, v->name);
	v->line = 1;
	return v;
}

/* vectors_next: the next row; false, and all freed, at the end. */
static inline int
vectors_next(vectors *v)
{
	v->line++;
	if (fgets(v->row, sizeof(v->row), v->file) != NULL && vectors_split(v->row, v->field) == v->columns)
		return 1;
	fclose(v->file);
	free(v);
	return 0;
}

static inline const char *
vectors_text(vectors *v, const char *column)
{
	for (int i = 0; i < v->columns; i++)
		if (strcmp(v->name[i], column) == 0)
			return v->field[i];
	printf("there is no column %s\n", column);
	exit(1);
}

/* vectors_number: NaN for an empty field. */
static inline double
vectors_number(vectors *v, const char *column)
{
	const char *text = vectors_text(v, column);

	return *text ? strtod(text, NULL) : NAN;
}

/* vectors_array: a PostgreSQL array literal of numbers; how many there were. */
static inline int
vectors_array(const char *text, double *values, int limit)
{
	int n = 0;

	text++;
	while (*text && *text != '}' && n < limit)
	{
		char *end;

		values[n++] = strtod(text, &end);
		text = *end == ',' ? end + 1 : end;
	}
	return n;
}

/* close_to: relative, or absolute where that is larger; an infinity only equals itself, and NaN expects nothing. */
static inline int
close_to(double seen, double expected, double relative, double absolute)
{
	if (isnan(expected))
		return 1;
	if (isinf(expected) || isinf(seen))
		return seen == expected;
	return fabs(seen - expected) <= fmax(relative * fabs(expected), absolute);
}

#endif
