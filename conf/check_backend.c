#include "conf/check_backend.h"

#include <errno.h>
#include <stdio.h>

#include "conf/named_file.h"
#include "proxy/base/err.h"
#include "proxy/base/field.h"

struct check {
	const struct setting *setting;
	struct faults *faults;
};

static bool
is_set(const struct check *k, const char *name)
{
	return strcmp(k->setting->directive->name, name) == 0;
}

/* What a request line may have (RFC 9112 3.2), and a path begins with. */
static bool
is_target(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("\"#<>\\^`{|}", *p) != NULL)
			return false;
	return *text == '/';
}

static void
check_path(const struct check *k, const char *name, const char *advice)
{
	const char *text = k->setting->text;

	if (!is_set(k, name) || strcmp(text, "off") == 0 || is_target(text))
		return;
	faults_add(k->faults, k->setting->at,
	    "write a %s that begins with / and has nothing in it that URLs "
	    "escape, such as %s",
	    name, advice);
}

bool
bridge_header_passes(struct str name)
{
	static const char *const ours[] = { "Host", "Connection", "Keep-Alive",
		"Proxy-Connection", "Proxy-Authorization", "TE", "Trailer",
		"Transfer-Encoding", "Upgrade", "Expect", "Content-Length",
		"Content-Type", "Content-Encoding" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (str_is_nocase(name, ours[i]))
			return false;
	return !str_starts_nocase(name, "ce-") &&
	    !str_starts_nocase(name, "webhook-") &&
	    !str_starts_nocase(name, "Sec-WebSocket-");
}

static void
check_bridge_header(const struct check *k)
{
	struct str name = str_of(k->setting->text);
	char quoted[LOG_QUOTED];

	if (!is_set(k, "bridge-header"))
		return;
	if (!field_is_token(name))
		faults_add(k->faults, k->setting->at,
		    "write the name of one header, such as Cookie: %s is none",
		    log_quote(quoted, name));
	else if (!bridge_header_passes(name))
		faults_add(k->faults, k->setting->at,
		    "leave out %s: it would say something else of the event, "
		    "and never comes along",
		    log_quote(quoted, name));
}

/* With h2c, requests would pass that nobody has looked at. */
static void
check_upgrade(const struct check *k)
{
	struct str name = str_of(k->setting->text);
	char quoted[LOG_QUOTED];

	if (!is_set(k, "upgrade"))
		return;
	if (!field_is_token(name))
		faults_add(k->faults, k->setting->at,
		    "write the name of one protocol, such as websocket: %s is "
		    "none",
		    log_quote(quoted, name));
	else if (str_is_nocase(name, "h2c"))
		faults_add(k->faults, k->setting->at,
		    "leave out h2c: it carries requests past all that is "
		    "checked here");
}

void
backend_check(const struct settings *s, struct faults *faults)
{
	for (size_t i = 0; i < s->count; i++) {
		struct check k = { &s->items[i], faults };

		check_path(&k, "bridge-path", "/spillway-events");
		check_path(&k, "backend-probe-path", "/healthz, or \"off\"");
		check_bridge_header(&k);
		check_upgrade(&k);
	}
}

static bool
has_certificate(FILE *file)
{
	char line[256];

	/* "TRUSTED CERTIFICATE" and "X509 CERTIFICATE" are some, too. */
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "-----BEGIN ", 11) == 0 &&
		    strstr(line, "CERTIFICATE-----") != NULL)
			return true;
	return false;
}

static int
check_ca(const char *path, struct buf *advice)
{
	FILE *file = named_file_open(path);
	bool found;

	if (file == NULL) {
		buf_printf(advice,
		    "write a backend-ca that can be read, or \"system\": %s: "
		    "%s\n",
		    path, strerror(errno));
		return SW_EINVAL;
	}
	found = has_certificate(file);
	fclose(file);
	if (!found)
		buf_printf(advice,
		    "write a backend-ca with certificates in PEM, or "
		    "\"system\": %s has none\n",
		    path);
	return found ? SW_OK : SW_EINVAL;
}

int
backend_files_check(const struct conf *c, struct buf *advice)
{
	int err = SW_OK;

	for (size_t i = 0; i < c->route_count; i++) {
		const struct route *r = &c->routes[i];

		if (r->backend_count > 0 &&
		    strcmp(r->backend_ca, "system") != 0 &&
		    (i + 1 == c->route_count || r->own) &&
		    check_ca(r->backend_ca, advice) != SW_OK)
			err = SW_EINVAL;
	}
	return err;
}
