/*
 * Configurations: a text either has faults, each on a line of its own with a
 * place, or it is printed as a text that loads to the same and prints the same.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf.h"
#include "tests/fuzz/fuzz.h"

/* One file in memory, with a name for those who open it. */
static char path[64];
static int file = -1;

static int
load(struct conf **out, struct str text, struct buf *faults)
{
	if (file < 0) {
		file = memfd_create("conf", 0);
		must(file >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	must(ftruncate(file, 0) == 0);
	must(pwrite(file, text.p, text.len, 0) == (ssize_t)text.len);
	buf_init(faults, 1 << 20);
	return conf_load(out, path, faults);
}

/* "file:line: what to write instead", or "file: ..." for all of it. */
static void
check_faults(struct str faults)
{
	struct str line;

	must(faults.len > 0 && faults.p[faults.len - 1] == '\n');
	faults.len--;
	while (str_cut(&faults, '\n', &line)) {
		must(line.len > 0 && line.p[0] == '/');
		must(memmem(line.p, line.len, ": ", 2) != NULL);
		for (size_t i = 0; i < line.len; i++)
			must((unsigned char)line.p[i] >= ' ');
	}
}

static void
check_printed(const struct conf *c)
{
	struct conf *again;
	struct buf once, twice, faults;

	buf_init(&once, 8 << 20);
	buf_init(&twice, 8 << 20);
	must(conf_print(c, &once) == SW_OK);
	/* A file has a limit of its own. */
	if (buf_len(&once) < 1 << 20) {
		must(load(&again, buf_str(&once), &faults) == SW_OK);
		must(conf_print(again, &twice) == SW_OK);
		must(fuzz_same(buf_str(&once), buf_str(&twice)));
		must(again->policy_count == c->policy_count);
		buf_clear(&twice);
		must(conf_needs_restart(c, again, &twice) == SW_OK);
		must(buf_len(&twice) == 0);
		conf_free(again);
		buf_fini(&faults);
	}
	buf_fini(&once);
	buf_fini(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct conf *c = NULL;
	struct buf faults;
	int err = load(&c, text, &faults);

	must(err == SW_OK || err == SW_EINVAL || err == SW_ELIMIT);
	must((err == SW_OK) == (c != NULL));
	if (err == SW_OK) {
		must(buf_len(&faults) == 0);
		must(conf_policy(c, STR("room-7")) != NULL);
		check_printed(c);
	} else if (err == SW_EINVAL) {
		check_faults(buf_str(&faults));
	}
	conf_free(c);
	buf_fini(&faults);
	return 0;
}
