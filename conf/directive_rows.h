#ifndef SPILLWAY_CONF_DIRECTIVE_ROWS_H
#define SPILLWAY_CONF_DIRECTIVE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/directives.h"

/*
 * The table of directives in its parts, which stand in this order: so do the
 * documents.
 */
struct directive_rows {
	const struct directive *rows;
	size_t count;
};

extern const struct directive_rows directives_gateway;
extern const struct directive_rows directives_backend;
extern const struct directive_rows directives_limits;

/* What the rows of the table of directives are written with. */

#define FIELD(type, field)                      \
	.offset = offsetof(struct type, field), \
	.size = sizeof(((struct type *)NULL)->field)
#define GLOBAL(field) FIELD(conf, field)
#define LIST(field) \
	FIELD(conf, field), .count_offset = offsetof(struct conf, field##_count)
#define POLICY(field) .channel = true, FIELD(policy, field)
#define ROUTE(field) .route = true, FIELD(route, field)
#define ROUTE_LIST(field) \
	ROUTE(field), .count_offset = offsetof(struct route, field##_count)
#define POOL(field) .pool = true, ROUTE(field)

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define THOUSAND UINT64_C(1000)
#define MILLION (1000 * THOUSAND)

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* In the order of their enums. */
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define DURABILITIES WORDS("memory", "normal", "full")
#define SEND_MODES WORDS("off", "publish", "echo", "bridge")
#define TLS_VERSIONS WORDS("1.2", "1.3")
#define MESSAGE_MODES WORDS("sync", "queue")
#define ACCESSES WORDS("auto", "anyone", "token")
#define SOCKET_MODES WORDS("0600", "0660", "0666")
#define LOG_LEVELS WORDS("error", "warn", "info", "debug")
#define LOG_FORMATS WORDS("text", "json")
#define CORRUPT_STORES WORDS("refuse", "move-aside")

#endif
