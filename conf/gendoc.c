/*
 * Print a document that is made from the table of directives: "gendoc sample"
 * prints spillway.conf, "gendoc manual" prints spillway.conf.5.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/docs.h"
#include "proxy/base/err.h"

int
main(int argc, char **argv)
{
	struct buf out;
	size_t written;
	int err;

	buf_init(&out, 1024 * 1024);
	if (argc == 2 && strcmp(argv[1], "sample") == 0) {
		err = docs_sample(&out);
	} else if (argc == 2 && strcmp(argv[1], "manual") == 0) {
		err = docs_manual(&out);
	} else {
		fprintf(stderr, "usage: gendoc sample | manual\n");
		return 2;
	}
	if (err != SW_OK) {
		fprintf(stderr, "gendoc: %s\n", err_info(err)->sentence);
		return EXIT_FAILURE;
	}
	written = fwrite(buf_head(&out), 1, buf_len(&out), stdout);
	err = written == buf_len(&out) && fflush(stdout) == 0 ? SW_OK : SW_EIO;
	buf_fini(&out);
	return err == SW_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
