/*
 * Feeds a fuzz target the files and folders that are given; without any, the
 * corpus of the program's name, as `make check` does.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static size_t inputs;

static void
fail(const char *path)
{
	perror(path);
	exit(EXIT_FAILURE);
}

static void
replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct buf bytes;
	char *input;
	size_t n;

	if (file == NULL)
		fail(path);
	buf_init(&bytes, (size_t)1 << 30);
	do {
		must(buf_reserve(&bytes, 4096) == SW_OK);
		n = fread(buf_tail(&bytes), 1, 4096, file);
		buf_commit(&bytes, n);
	} while (n > 0);
	if (ferror(file))
		fail(path);
	fclose(file);
	input = fuzz_copy(buf_str(&bytes));
	/* Named beforehand: it is the last one if the target ends here. */
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput((const uint8_t *)input, buf_len(&bytes));
	free(input);
	buf_fini(&bytes);
	inputs++;
}

static void
replay(const char *path)
{
	struct dirent **names;
	struct stat st;
	int n;

	if (stat(path, &st) < 0)
		fail(path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	n = scandir(path, &names, NULL, alphasort);
	if (n < 0)
		fail(path);
	for (int i = 0; i < n; i++) {
		char inner[4096];

		snprintf(inner, sizeof(inner), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			replay(inner);
		free(names[i]);
	}
	free(names);
}

int
main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	const char *srcdir = getenv("srcdir");
	char corpus[4096];

	name = name == NULL ? argv[0] : name + 1;
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc == 1) {
		snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s",
		    srcdir == NULL ? "." : srcdir, name);
		replay(corpus);
	}
	fprintf(stderr, "%zu inputs\n", inputs);
	return inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
