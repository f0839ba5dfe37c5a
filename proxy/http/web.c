#include "proxy/http/web.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/gateway.h"
#include "proxy/http/coding.h"
#include "proxy/worker.h"

enum {
	FILE_MAX = 4 << 20,
	DEPTH_MAX = 4,
	ETAG_BYTES = 8,  /* of the digest */
	GZIP_SAVES = 64, /* at least: more than its headers cost */
};

/*
 * Pages are made of files beside them, and talk to gateways. Nobody else shows
 * them in a frame.
 */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self' ws: wss:; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'";

/* A page as it is, or in gzip. */
struct representation {
	uint8_t *bytes;
	size_t len;
	char etag[2 * ETAG_BYTES + sizeof("\"-gzip\"")];
};

struct page {
	struct page *next;
	char *path; /* behind /spillway/ */
	const char *type;
	struct representation plain;
	struct representation gzip; /* no bytes where it saves nothing */
};

struct web {
	struct page *pages;
	size_t count;
};

static const char *
type_of(const char *name)
{
	static const struct {
		const char *ending, *type;
	} types[] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".mjs", "text/javascript; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".json", "application/json" },
		{ ".svg", "image/svg+xml" },
		{ ".ts", "text/plain; charset=utf-8" },
		{ ".txt", "text/plain; charset=utf-8" },
	};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t n = strlen(types[i].ending);

		if (len > n && strcmp(name + len - n, types[i].ending) == 0)
			return types[i].type;
	}
	return NULL;
}

static int
read_file(int fd, struct representation *p)
{
	struct stat st;
	size_t got = 0;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_size > FILE_MAX)
		return SW_EINVAL;
	p->bytes = malloc((size_t)st.st_size + 1);
	if (p->bytes == NULL)
		return SW_ENOMEM;
	while (got < (size_t)st.st_size) {
		ssize_t n = read(fd, p->bytes + got, (size_t)st.st_size - got);

		if (n <= 0)
			return SW_EIO;
		got += (size_t)n;
	}
	p->len = got;
	return SW_OK;
}

static struct str
bytes_of(const struct representation *f)
{
	return (struct str){ (const char *)f->bytes, f->len };
}

/* Both forms have names of their own: bytes differ (RFC 9110 8.8.3.3). */
static int
name_version(struct page *p)
{
	uint8_t digest[SHA1_SIZE];
	char text[2 * ETAG_BYTES + 1];
	int err = digest_sha1(digest, bytes_of(&p->plain));

	if (err != SW_OK)
		return err;
	for (size_t i = 0; i < ETAG_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	snprintf(p->plain.etag, sizeof(p->plain.etag), "\"%s\"", text);
	snprintf(p->gzip.etag, sizeof(p->gzip.etag), "\"%s-gzip\"", text);
	return SW_OK;
}

static int
make_gzip(struct page *p)
{
	struct representation *f = &p->gzip;
	int err = coding_gzip(&f->bytes, &f->len, bytes_of(&p->plain));

	if (err == SW_OK && f->len + GZIP_SAVES > p->plain.len) {
		free(f->bytes);
		f->bytes = NULL;
	}
	return err;
}

static void
page_free(struct page *p)
{
	free(p->path);
	free(p->plain.bytes);
	free(p->gzip.bytes);
	free(p);
}

static int
load_page(struct web *w, int dir, const char *name, const char *path)
{
	struct page *p = calloc(1, sizeof(*p));
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int err = SW_ENOMEM;

	if (p != NULL && (p->path = strdup(path)) != NULL)
		err = fd < 0 ? SW_EIO : read_file(fd, &p->plain);
	if (fd >= 0)
		close(fd);
	if (err == SW_OK && (err = name_version(p)) == SW_OK)
		err = make_gzip(p);
	if (err == SW_OK) {
		p->type = type_of(name);
		p->next = w->pages;
		w->pages = p;
		w->count++;
	} else if (p != NULL) {
		page_free(p);
	}
	return err;
}

/* Everything below a directory whose name has an ending that we know. */
static void
load_directory(
    struct web *w, int parent, const char *name, const char *prefix, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		char path[512];
		size_t len = (size_t)snprintf(
		    path, sizeof(path), "%s%s", prefix, e->d_name);

		if (e->d_name[0] == '.' || len >= sizeof(path) - 1)
			continue;
		if (type_of(e->d_name) != NULL) {
			load_page(w, dirfd(d), e->d_name, path);
		} else if (depth < DEPTH_MAX) {
			path[len] = '/';
			path[len + 1] = '\0';
			load_directory(w, dirfd(d), e->d_name, path, depth + 1);
		}
	}
	closedir(d);
}

int
web_load(struct web **out, const char *root)
{
	struct web *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return SW_ENOMEM;
	*out = w;
	if (root == NULL)
		return SW_OK;
	load_directory(w, AT_FDCWD, root, "", 0);
	if (w->count == 0)
		log_warn("web: no pages in web-root=%s", root);
	return SW_OK;
}

void
web_free(struct web *w)
{
	struct page *next;

	if (w == NULL)
		return;
	for (struct page *p = w->pages; p != NULL; p = next) {
		next = p->next;
		page_free(p);
	}
	free(w);
}

static const struct page *
find(const struct web *w, struct str path)
{
	for (const struct page *p = w->pages; p != NULL; p = p->next)
		if (str_is(path, p->path))
			return p;
	return NULL;
}

/* What stands for a directory; `path` ends with a slash, or is empty. */
static const struct page *
find_index(const struct web *w, struct str path)
{
	static const char name[] = "index.html";

	for (const struct page *p = w->pages; p != NULL; p = p->next)
		if (strlen(p->path) == path.len + sizeof(name) - 1 &&
		    memcmp(p->path, path.p, path.len) == 0 &&
		    strcmp(p->path + path.len, name) == 0)
			return p;
	return NULL;
}

static bool
is_directory(const struct web *w, struct str path)
{
	for (const struct page *p = w->pages; p != NULL; p = p->next)
		if (strlen(p->path) > path.len && p->path[path.len] == '/' &&
		    memcmp(p->path, path.p, path.len) == 0)
			return true;
	return false;
}

/* The names in a page are seen from its directory: with a slash at the end. */
static void
redirect(struct exchange *x, struct str path)
{
	exchange_redirect(x, 302, "/spillway/%.*s%s", STR_ARG(path),
	    path.len == 0 ? "" : "/");
}

/* RFC 9110 13.1.2: whoever has this version need not have it again. */
static bool
has_version(const struct request *r, const char *etag)
{
	struct str had = request_header(r, "If-None-Match");

	return had.p != NULL &&
	    (str_is(had, "*") ||
		memmem(had.p, had.len, etag, strlen(etag)) != NULL);
}

static void
answer_with(struct exchange *x, const struct page *p)
{
	const struct representation *f = &p->plain;

	if (p->gzip.bytes != NULL) {
		x->varies = "Accept-Encoding";
		if (coding_accepts_gzip(&x->request))
			f = &p->gzip;
	}
	x->cache = "no-cache";
	x->policy = policy;
	x->etag = f->etag;
	if (has_version(&x->request, f->etag)) {
		exchange_answer(x, 304, p->type);
		return;
	}
	if (f == &p->gzip)
		x->coding = "gzip";
	x->kept = bytes_of(f);
	exchange_answer(x, 200, p->type);
}

void
web_handle(struct exchange *x)
{
	static const char prefix[] = "/spillway/";
	struct str path = x->request.path;
	const struct web *w = gateway_web(x->worker->gateway);
	const struct page *p;

	if (x->request.method != METHOD_GET &&
	    x->request.method != METHOD_HEAD) {
		x->allow = "GET, HEAD";
		exchange_refuse(x, 405, "Pages are read with GET.");
		return;
	}
	if (!str_starts(path, prefix)) {
		redirect(x, STR(""));
		return;
	}
	path.p += sizeof(prefix) - 1;
	path.len -= sizeof(prefix) - 1;
	p = path.len == 0 || path.p[path.len - 1] == '/' ? find_index(w, path) :
							   find(w, path);
	if (p == NULL && path.len > 0 && is_directory(w, path)) {
		redirect(x, path);
		return;
	}
	if (p == NULL) {
		exchange_refuse(x, 404, "There is no such page.");
		return;
	}
	answer_with(x, p);
}
