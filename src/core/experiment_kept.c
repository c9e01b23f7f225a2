/*
 * experiment_kept.c: what looks leave of their boundaries, of each level that was asked for: one list of numbers, which
 * can be stored: level, count, and so many numbers of sequential_continue; and so on. Whatever is no such list ends it.
 */
#include "core/experiment_inside.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define HEAD 2

/* entry: the state at a place of the list, its level before it; false at the end. */
static bool
entry(const sequential_state *kept, size_t at, double *level, sequential_state *state)
{
	double count;

	if (at + HEAD > kept->count)
		return false;
	count = kept->number[at + 1];
	if (!(count >= 1 && count <= (double) (kept->count - at - HEAD)) || count != floor(count))
		return false;
	*level = kept->number[at];
	*state = (sequential_state){(size_t) count, kept->number + at + HEAD};
	return true;
}

sequential_state
experiment_kept_find(const sequential_state *kept, double level)
{
	sequential_state state;
	double here;

	for (size_t at = 0; entry(kept, at, &here, &state); at += HEAD + state.count)
		if (here == level)
			return state;
	return (sequential_state){0};
}

sequential_state
experiment_kept_with(const sequential_state *kept, double level, const sequential_state *state,
					 const sequential_caller *caller)
{
	sequential_state next = {0};
	sequential_state other;
	double here;

	next.number = caller->allocate(sizeof(double) * (kept->count + HEAD + state->count));
	for (size_t at = 0; entry(kept, at, &here, &other); at += HEAD + other.count)
		if (here != level)
		{
			memcpy(next.number + next.count, kept->number + at, sizeof(double) * (HEAD + other.count));
			next.count += HEAD + other.count;
		}
	if (state->count > 0)
	{
		next.number[next.count] = level;
		next.number[next.count + 1] = (double) state->count;
		memcpy(next.number + next.count + HEAD, state->number, sizeof(double) * state->count);
		next.count += HEAD + state->count;
	}
	return next;
}
