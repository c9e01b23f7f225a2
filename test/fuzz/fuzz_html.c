/*
 * fuzz_html.c: libFuzzer target: any bytes, and at most how many characters. What comes out is ASCII without a mark
 * that could begin or end anything, and ends where memory does.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	html page = {.resize = realloc};
	size_t characters = size > 0 ? data[0] : 0;
	char *text = malloc(size + 1);

	memcpy(text, data + (size > 0), size - (size > 0));
	text[size - (size > 0)] = '\0';
	html_put(&page, "");
	html_escape(&page, text, characters);
	for (size_t i = 0; i < page.length; i++)
	{
		char c = page.text[i];

		if (c < 0x20 || c > 0x7e || strchr("<>\"'", c) != NULL)
			abort();
		if (c == '&' && (page.text[i + 1] == '\0' || strcspn(page.text + i, ";") == strlen(page.text + i)))
			abort();
	}
	free(page.text);
	free(text);
	return 0;
}
