/* cppcheck.h: what cppcheck must know of the server, whose headers it does not read: errors do not return. */
#define ERROR 21
#define FATAL 22
#define ereport(level, ...)                                                                                            \
	do                                                                                                                 \
	{                                                                                                                  \
		if ((level) >= ERROR)                                                                                          \
			exit(1);                                                                                                   \
	} while (0)
#define elog ereport
#define lengthof(array) (sizeof(array) / sizeof((array)[0]))
