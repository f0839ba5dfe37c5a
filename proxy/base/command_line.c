#include "proxy/base/command_line.h"

#include <getopt.h>

bool
command_line_read(
    const struct command_line *l, void *to, int argc, char **argv, int *status)
{
	int id;

	*status = COMMAND_USAGE;
	while ((id = getopt_long(argc, argv, "h", l->longs, NULL)) != -1) {
		if (id == 'h') {
			l->usage(stdout);
			*status = COMMAND_FINE;
			return false;
		}
		if (id == '?') {
			l->usage(stderr);
			return false;
		}
		if (!l->take(to, id, optarg))
			return false;
	}
	if (optind == argc)
		return true;
	fprintf(stderr, "%s: what is \"%s\"? Options begin with --\n", argv[0],
	    argv[optind]);
	l->usage(stderr);
	return false;
}
